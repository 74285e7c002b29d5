"""`check --live`: what a running daemon would meet, tried without spending anything."""

import asyncio
from collections.abc import Awaitable, Collection, Iterator
from dataclasses import replace
from urllib.parse import urlsplit, urlunsplit

from refresher import daemon
from refresher.core.errors import Mistake, RefresherError, StoreError, TransportError
from refresher.core.job import Job
from refresher.core.model import HttpRequest, Reference
from refresher.core.settings import Settings


def check_live(settings: Settings) -> tuple[Mistake, ...]:
    """Log in to each cluster, read each secret, prove each path writable, reach each token host; return what failed."""
    return asyncio.run(_check(settings))


async def _check(settings: Settings) -> tuple[Mistake, ...]:
    file, found = str(settings.file), []
    async with daemon.build(settings, looks=True) as parts:
        for name in sorted(parts.used_clusters()):
            table = f"clusters.{name}" if name else "vault"
            found.append(await _tried(Mistake(file, table, "auth", ""), parts.stores[name].login()))
        if not any(found):
            ours = {str(place) for job in settings.jobs.values() for place in job.destinations}
            for job in settings.jobs.values():
                for mistake, deed in _deeds(file, job, parts, ours):
                    found.append(await _tried(mistake, deed))
        asking = [job for job in settings.jobs.values() if job.shape.program is None]
        doors = {(_origin(job.shape.issuer or job.token_url), job.shape.channel): job for job in asking}
        for (origin, channel), job in doors.items():
            knock = HttpRequest(method="HEAD", url=origin, channel=channel)
            key = "issuer" if job.shape.issuer else "token_url"
            mistake = Mistake(file, f"jobs.{job.name}", key, f"{origin} can't be reached: ")
            found.append(await _tried(mistake, parts.http.send(knock)))
    return tuple(mistake for mistake in found if mistake is not None)


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
        yield Mistake(file, table, "path", ""), parts.stores[job.state.cluster].prove(job.state)


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


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc, "/", "", ""))
