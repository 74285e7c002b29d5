"""`check --live`: what a running daemon would meet, tried without spending anything."""

import asyncio
from collections.abc import Awaitable, Collection, Iterator
from dataclasses import dataclass, replace
from urllib.parse import urlsplit, urlunsplit

from refresher import daemon
from refresher.core import perishable
from refresher.core.errors import Mistake, RefresherError, StoreError, TransportError
from refresher.core.job import Job
from refresher.core.model import HttpRequest, Reference
from refresher.core.published import stamp
from refresher.core.settings import Settings
from refresher.ports import Clock
from refresher.vault import Vault


@dataclass(frozen=True, slots=True)
class Tried:
    """What failed, and lines for people about what will."""

    failed: tuple[Mistake, ...]
    warnings: tuple[Mistake, ...] = ()


def check_live(settings: Settings) -> Tried:
    """Log in to each cluster, read each secret, prove each path writable, reach each token host, find each program."""
    return asyncio.run(_check(settings))


async def _check(settings: Settings) -> Tried:
    file, found, warnings = str(settings.file), [], []
    async with daemon.build(settings, looks=True) as parts:
        logins = {name: Mistake(file, _table(name), "auth", "") for name in settings.written_clusters}
        found += [await _tried(mistake, parts.stores[name].login()) for name, mistake in logins.items()]
        if not any(found):
            for name, mistake in logins.items():
                warnings += await _perishable(mistake, parts.stores[name], parts.clock)
            ours = {str(place) for job in settings.jobs.values() for place in job.destinations}
            for job in settings.jobs.values():
                for mistake, deed in _deeds(file, job, parts, ours):
                    found.append(await _tried(mistake, deed))
        for name, hook in settings.hooks.items():
            if hook.program is not None:
                mistake = Mistake(file, f"hooks.{name}", "command", "")
                found.append(await _tried(mistake, parts.programs.find(hook.program)))
        doors = {(_door(job), job.shape.channel): job for job in settings.jobs.values()}
        for (door, _), job in doors.items():
            for mistake, deed in _knocks(file, job, door, parts):
                found.append(await _tried(mistake, deed))
    return Tried(tuple(mistake for mistake in found if mistake is not None), tuple(warnings))


async def _perishable(mistake: Mistake, store: Vault, clock: Clock) -> list[Mistake]:
    """Say of what the login shows that it is limited in its uses, or ends soon."""
    try:
        one = await store.perishable()
    except StoreError:
        one = None
    if one is None:
        if store.cluster.auth.method not in {"approle", "token"}:
            return []
        unknown = "whether the login runs out can't be seen: the policy that refresher policy prints lets it look"
        return [replace(mistake, message=unknown)]
    ends = "" if one.ends_at is None else f"; it ends at {stamp(one.ends_at)}"
    limited = perishable.is_limited(one, clock.now())
    return [replace(mistake, message=perishable.why(one) + ends)] if limited else []


def _table(cluster: str) -> str:
    return f"clusters.{cluster}" if cluster else "vault"


def _deeds(
    file: str, job: Job, parts: daemon.Parts, ours: Collection[str]
) -> Iterator[tuple[Mistake, Awaitable[object]]]:
    table = f"jobs.{job.name}"
    for key, reference in job.references().items():
        if reference.kind == "vault" and _place(reference) in ours:
            continue  # another job's token: it need not stand there yet
        yield Mistake(file, table, key, ""), parts.references.resolve({key: reference})
    for place in job.destinations:
        yield Mistake(file, table, "path", ""), parts.stores[place.cluster].prove(place)
    if job.irreplaceable:
        yield Mistake(file, table, "path", ""), parts.stores[job.states.cluster].prove(job.state)


def _knocks(file: str, job: Job, door: str, parts: daemon.Parts) -> Iterator[tuple[Mistake, Awaitable[object]]]:
    table = f"jobs.{job.name}"
    if job.shape.program is not None:
        yield Mistake(file, table, "command", ""), parts.programs.find(job.shape.program)
    elif job.shape.issuer:
        yield Mistake(file, table, "issuer", ""), parts.discovery.metadata(job)
    else:
        knock = HttpRequest(method="HEAD", url=door, channel=job.shape.channel)
        yield Mistake(file, table, "token_url", f"{door} can't be reached: "), parts.http.send(knock)


async def _tried(mistake: Mistake, deed: Awaitable[object]) -> Mistake | None:
    try:
        await deed
    except StoreError as error:
        return replace(mistake, message=f"{error} ({error.code})")
    except TransportError as error:
        return replace(mistake, message=mistake.message + error.why)
    except RefresherError as error:
        return replace(mistake, message=str(error))
    return None


def _place(reference: Reference) -> str:
    return f"{reference.cluster}:{reference.target}" if reference.cluster else reference.target


def _door(job: Job) -> str:
    """Return what is tried once for all jobs that share it: a host, an issuer, a program."""
    if job.shape.program is not None:
        return job.shape.program.argv[0]
    parts = urlsplit(job.token_url)
    return job.shape.issuer or urlunsplit((parts.scheme, parts.netloc, "/", "", ""))
