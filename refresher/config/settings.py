"""From a path to Settings, or to every mistake at once."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any, Final, TypeAlias

from refresher.config import allow, chains, clusters, files, fleet, hooks, jobs, overwrites, renames
from refresher.config.allow import Allow
from refresher.config.draft import Draft
from refresher.config.mistakes import Findings, Reading, dotted, read
from refresher.config.models import File, Included
from refresher.config.places import Places
from refresher.config.shared import Shared
from refresher.core.errors import ConfigError, Mistake
from refresher.core.settings import Limits, LogSettings, Settings

NOTHING: Final = frozenset[str]()
AnyReading: TypeAlias = Reading[File] | Reading[Included]


def load(path: Path, *, jobless: bool = False) -> Settings:
    """Return what the file `path` and the files it includes say; raise ConfigError with every mistake in them."""
    findings = Findings()
    raw = files.table(path, findings)
    if raw is None:
        raise ConfigError(tuple(findings.mistakes))
    order = list(_tables(str(path), raw))
    main = read(File, raw, str(path), findings)
    included: list[Reading[Included]] = []
    files_of, counts = _included(main, path, findings)
    for file in files_of:
        more = files.table(file, findings)
        if more is not None:
            order += _tables(str(file), more)
            included.append(read(Included, more, str(file), findings))
    settings = _settings(main, included, findings, path, files_of)
    if not jobless:
        _some_job(main, included, findings)
    if findings.mistakes:
        raise ConfigError(_sorted(findings.mistakes, order))
    return replace(settings, includes=counts)


def _tables(file: str, raw: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the file's tables in its own order, the order in which a person mends it."""
    for name, inner in raw.items():
        yield file, dotted(name)
        if isinstance(inner, dict):
            yield from ((file, dotted(name, each)) for each in inner)


def _sorted(mistakes: list[Mistake], order: list[tuple[str, str]]) -> tuple[Mistake, ...]:
    ranks = {place: rank for rank, place in enumerate(order)}
    return tuple(sorted(mistakes, key=lambda each: ranks.get((each.file, each.table), -1)))


def _included(main: Reading[File], path: Path, findings: Findings) -> tuple[dict[Path, Allow | None], dict[str, int]]:
    """Return the files that are included, each with what it may name (None: anything), and how many a pattern names."""
    entries = main.model.include
    found, counts = files.included((entry.files for entry in entries), path)
    for pattern in (pattern for pattern, count in counts.items() if not count):
        if files.is_wild(pattern):
            findings.odd(main.file, "", "include", f"no file matches {pattern}")
        else:
            findings.wrong(main.file, "", "include", f"there is no file {pattern}")
    allowed: dict[Path, Allow | None] = {}
    for file, (first, *others) in found.items():
        lists = entries[first].allow
        allowed[file] = None if lists is None else Allow(files=entries[first].files, lists=lists)
        for other in others:
            if entries[other].allow != lists:
                why = f"{entries[first].files} names {file} too, and allows other things"
                findings.wrong(main.file, "", f"include[{other}]", why)
    return allowed, counts


def _settings(
    main: Reading[File],
    included: list[Reading[Included]],
    findings: Findings,
    path: Path,
    allowed: Mapping[Path, Allow | None],
) -> Settings:
    model = main.model
    built = clusters.build(main, findings)
    places = Places(
        clusters=clusters.tables(main),
        addresses={name: cluster.address for name, cluster in built.items()},
        unread=frozenset(place[1] for place in main.bad if place[0] == "clusters" and len(place) > 1),
        instance=model.instance.name,
    )
    drafts = list(_drafts(main, included, findings))
    outcomes = [jobs.build(draft, places) for draft in drafts]
    hooks.check(drafts, main, findings)
    written = places.clashes((each.draft, each.destinations) for each in outcomes)
    overwrites.check(outcomes, places, written)
    del written  # a hundred thousand paths, which nobody needs any more
    renames.check(outcomes)
    found = allow.held(chains.link(outcomes), outcomes, {str(file): lists for file, lists in allowed.items()})
    places.shared_mounts(found.values(), findings, main.file)
    limits = model.limits
    if limits.per_host > limits.total and "per_host" in limits.said():
        findings.wrong(main.file, "limits", "per_host", f"is more than total ({limits.total})")
    return Settings(
        file=path,
        instance=model.instance.name,
        state_dir=model.state.dir,
        clusters=built,
        jobs=found,
        limits=Limits(per_host=min(limits.per_host, limits.total), total=limits.total),
        log=LogSettings(level=model.log.level, format=model.log.format),
        drift_check=model.drift_check,
        web_listen=model.web.listen,
        hooks=hooks.build(main, findings),
        heartbeat_url=model.heartbeat_url or "",
        heartbeat_every=model.heartbeat_every,
        textfile=model.metrics.textfile,
        postgres=fleet.build(main, found, findings),
        warnings=tuple(str(each) for each in findings.warnings),
    )


def _some_job(main: Reading[File], included: list[Reading[Included]], findings: Findings) -> None:
    readings: Iterable[AnyReading] = (main, *included)
    if not any(one.model.jobs for one in readings) and not any(place[0] == "jobs" for place in main.bad):
        findings.wrong(main.file, "jobs", "", "there is no job: write at least one table [jobs.NAME]")


def _drafts(main: Reading[File], included: Iterable[Reading[Included]], findings: Findings) -> Iterator[Draft]:
    """Yield every job once, in the order of the files; a name that stands in two files is told."""
    defaults = {} if main.model.defaults is None else main.model.defaults.said()
    bad_defaults = frozenset(place[1] for place in main.bad if place[0] == "defaults" and len(place) > 1)
    seen: dict[str, str] = {}
    shared = Shared()
    tables: list[tuple[str, str, dict[str, Any], frozenset[str]]] = []
    for reading in chain[AnyReading]([main], included):
        unread = _unread(reading)
        for name, table in reading.model.jobs.items():
            if name in seen:
                findings.wrong(reading.file, dotted("jobs", name), "", f"a job of this name stands in {seen[name]} too")
                continue
            seen[name] = reading.file
            own = table.said()
            bad = frozenset((*unread.get(name, ()), *(bad_defaults - own.keys()))) or NOTHING
            tables.append((reading.file, name, own, bad))
    for file, name, own, bad in tables:  # what stays is made in one go: memory goes back in large pieces alone
        shared.share(own)
        yield Draft(
            name=shared.name(name),
            file=file,
            own=own,
            defaults=defaults,
            both=defaults | own if defaults else own,
            bad=bad,
            findings=findings,
        )


def _unread(reading: AnyReading) -> dict[str, list[str]]:
    """Return the keys that could not be read, by job."""
    found: dict[str, list[str]] = {}
    for place in reading.bad:
        match place:
            case ("jobs", name, key):
                found.setdefault(name, []).append(key)
            case _:
                pass
    return found
