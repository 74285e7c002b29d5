"""What the jobs of an included file may name, where its entry of `include` says so.

Rules of this module:
- What counts is what the job comes to: the catalogue's address, the `vars` filled in, what [defaults] add. So no way to
  say a thing goes round its list.
- What is not listed is refused, a whole kind too. `*` stands for any characters but a colon: no pattern for the
  default cluster reaches a named one, none for a host another port.
- Every key that reads or reaches something is judged here; tests/config/test_allow.py holds the list of keys whole.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import chain

from refresher.config import endpoint, words
from refresher.config.draft import Draft
from refresher.config.include_tables import AllowTable
from refresher.config.jobs import Built
from refresher.config.references import OtherJob
from refresher.core.address import host_of, is_taken
from refresher.core.job import Job


@dataclass(frozen=True, slots=True, kw_only=True)
class Allow:
    """The lists of one entry of `include`, and the files that it names."""

    files: str
    lists: AllowTable


@dataclass(frozen=True, slots=True)
class _Named:
    """What a key names: `kind` is the list that must take it."""

    key: str
    kind: str
    text: str


def held(jobs: Mapping[str, Job], outcomes: Iterable[Built], allowed: Mapping[str, Allow | None]) -> dict[str, Job]:
    """Return the jobs by name, each held to what its file may name (`allowed`, by file); tell what it may not."""
    found = dict(jobs)
    for built in outcomes:
        allow, name = allowed.get(built.draft.file), built.draft.name
        if allow is not None:
            _check(built, allow)
            if name in found and found[name].shape.issuer:
                found[name] = replace(found[name], hosts=tuple(allow.lists.hosts))
    return found


def _check(built: Built, allow: Allow) -> None:
    draft, job = built.draft, built.job
    if job is None:  # its mistakes are told, and come first
        return
    named = (_itself(job), _secrets(built, job), _places(built, job), _hosts(built, job), _called(draft, job))
    for one in chain(*named):
        taken: list[str] = getattr(allow.lists, one.kind)
        if not is_taken(one.text, taken):
            top = one.key.partition(".")[0]
            where = " (it stands in [defaults])" if top in draft.defaults and top not in draft.own else ""
            listed = words.listed(taken) if taken else "none"
            draft.wrong(one.key, f'is not allowed to "{allow.files}", which may name these {one.kind}: {listed}{where}')
    if job.shape.program is not None and job.shape.program.environment:
        why = f'is not allowed to "{allow.files}": variables change what a program does; have the program set them'
        draft.wrong("environment", why)


def _itself(job: Job) -> Iterator[_Named]:
    """Yield the names under which state records stand, this job's and the one that it takes over."""
    yield _Named("", "jobs", job.name)
    if job.moved_from:
        yield _Named("moved_from", "jobs", job.moved_from)


def _secrets(built: Built, job: Job) -> Iterator[_Named]:
    for key, reference in job.references().items():
        yield _Named("client_secret" if key == "next_client_secret" else key, "secrets", str(reference))
    subject = built.draft.get("subject_token") if built.chained else None
    if isinstance(subject, OtherJob):
        yield _Named("subject_token", "secrets", f"job:{subject.name}")
    channel = job.shape.channel
    for key in ("ca_file", "cert_file", "key_file"):
        if channel is not None and (path := getattr(channel, key)) is not None:
            yield _Named(key, "secrets", f"file:{path}")


def _places(built: Built, job: Job) -> Iterator[_Named]:
    yield from (_Named(key, "paths", str(place)) for key, place in built.destinations)
    yield from (_Named("shadow", "paths", str(place)) for place in job.observed)


def _hosts(built: Built, job: Job) -> Iterator[_Named]:
    shape = job.shape
    chosen = next(iter(built.draft.chosen(*endpoint.WAYS)), "provider")
    tried = "" if shape.verify is None else shape.verify.url
    urls = {
        chosen: shape.issuer or job.token_url,
        "verify": tried,
        "authorize.url": "" if shape.consent is None else shape.consent.url,
        "proxy": "" if shape.channel is None else shape.channel.proxy,
    }
    return (_Named(key, "hosts", host_of(url)) for key, url in urls.items() if url)


def _called(draft: Draft, job: Job) -> Iterator[_Named]:
    """Yield the program that is run, and the hooks that the job's own table picks out: no word at all is `""`."""
    if job.shape.program is not None:
        yield from (_Named("command", "programs", word) for word in job.shape.program.argv[:1])
    if "hooks" in draft.own:
        yield from (_Named("hooks", "hooks", name) for name in draft.own["hooks"] or ("",))
