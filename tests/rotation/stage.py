"""A stage for one walk: every port a fake, and time stands still until it is told to go on."""

import asyncio
import json
from collections.abc import Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from urllib.parse import parse_qsl

from refresher.charge import Charge, Identity
from refresher.core.errors import UnreadableReferenceError
from refresher.core.events import Event
from refresher.core.job import Job
from refresher.core.model import Location, Reference
from refresher.core.outcome import Outcome
from refresher.core.secret import Secret
from refresher.rotation import Rotation
from tests.core.builders import PLACE, a_job
from tests.fakes.clock import VirtualClock
from tests.fakes.http import ScriptedHttp, answer
from tests.fakes.journal import FakeJournal
from tests.fakes.programs import ScriptedPrograms, provider_side
from tests.fakes.store import FakeStore

SECRET = Reference(kind="env", target="CLIENT_SECRET")
PASSWORD = Reference(kind="env", target="PASSWORD")
SEED = Reference(kind="env", target="REFRESH_TOKEN")
IDENTITY = Identity(instance="default", holder="holder-1", key=b"k" * 32)


class Memory:
    """ports.Sink that remembers."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def tell(self, event: Event) -> None:
        self.events.append(event)

    def told(self, *levels: str) -> list[tuple[str, str]]:
        """What was told at `levels` (all that is loud, by default), as (name, error code)."""
        levels = levels or ("warning", "error")
        return [(one.name, str(one.fields.get("error", ""))) for one in self.events if one.level in levels]

    def named(self, name: str) -> list[Event]:
        return [one for one in self.events if one.name == name]

    def text(self) -> str:
        """All of it, for a search."""
        return json.dumps([(one.name, one.level, one.job, dict(one.fields)) for one in self.events], default=repr)


class FakeReferences:
    """ports.References over a dict by the reference's text; what is not there can't be read."""

    def __init__(self, texts: Mapping[str, str]) -> None:
        self.texts = dict(texts)
        self.reads = 0

    async def resolve(self, wanted: Mapping[str, Reference]) -> Mapping[str, Secret]:
        self.reads += 1
        for reference in wanted.values():
            if str(reference) not in self.texts:
                raise UnreadableReferenceError(str(reference), "there is no such variable")
        return {name: Secret(self.texts[str(reference)]) for name, reference in wanted.items()}


class SlowStore(FakeStore):
    """A FakeStore whose answers take `latency`: half of it on the way there, half on the way back."""

    def __init__(self, clock: VirtualClock, *, latency: timedelta = timedelta()) -> None:
        super().__init__()
        self.clock = clock
        self.latency = latency

    async def read(self, place):
        await self.clock.sleep(self.latency / 2)
        found = await super().read(place)
        await self.clock.sleep(self.latency / 2)
        return found

    async def write(self, place, data, *, cas):
        await self.clock.sleep(self.latency / 2)
        written = await super().write(place, data, cas=cas)
        await self.clock.sleep(self.latency / 2)
        return written


class Stage:
    """One job and all that its walk needs. `steps` are the provider's answers, in order; or `http` is the provider."""

    def __init__(self, *steps, job: Job | None = None, http=None, version=2, store=None) -> None:
        self.clock = VirtualClock()
        self.store = store or FakeStore(version=version, mounts=("secret", "refresher"))
        self.http = http or ScriptedHttp(*steps)
        self.sink = Memory()
        self.journal = FakeJournal()
        texts = {str(SECRET): "client-secret", str(PASSWORD): "pass-word", str(SEED): "RT-seed"}
        self.references = FakeReferences(texts)
        self.stores = {"": self.store}
        self.programs = ScriptedPrograms()
        self.rotation = self.rotation_of(self.http)
        self.charge = Charge(job=job or replaceable())

    def rotation_of(self, http) -> Rotation:
        return Rotation(
            **provider_side(http=http, references=self.references, clock=self.clock, programs=self.programs),
            stores=self.stores,
            references=self.references,
            clock=self.clock,
            sink=self.sink,
            identity=IDENTITY,
            journal=self.journal,
        )

    async def rotate(self, *, force: bool = False) -> Outcome:
        return await self.rotation.rotate(self.charge, force=force)

    @asynccontextmanager
    async def walking(self):
        """Walk beside the block; awaited at its end."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self.rotate())
            yield

    async def look(self) -> Outcome:
        return await self.rotation.look(self.charge)

    async def later(self, **span: float) -> Outcome:
        """Let time pass, then walk."""
        await self.clock.advance(timedelta(**span))
        return await self.rotate()

    def restart(self, **changes) -> None:
        """Forget all that was in memory, as a new process does."""
        self.charge = Charge(job=replace(self.charge.job, **changes))

    def reload(self, **changes) -> None:
        """Take over a changed configuration, as SIGHUP does."""
        self.charge = self.charge.succeeded_by(replace(self.charge.job, **changes))

    def stands(self, place: Location = PLACE) -> dict[str, str] | None:
        return self.store.stands(place)

    def deeds(self) -> list[str]:
        """What was asked of Vault since the last call, as `write tokens/crm`."""
        deeds = [f"{deed} {place.path}" for deed, place in self.store.calls]
        self.store.calls.clear()
        return deeds

    def sent(self) -> list[dict[str, str]]:
        """The forms that went to the provider."""
        return [dict(parse_qsl(request.body.decode())) for request in self.http.requests]

    def grants(self) -> list[str]:
        """What was asked of the provider, in order; a refresh with the token that was sent."""
        return [form.get("refresh_token", form["grant_type"]) for form in self.sent()]


def replaceable(**changes) -> Job:
    return a_job(**{"client_secret": SECRET} | changes)


def refreshing(**changes) -> Job:
    """A password job whose refresh token is used between full grants."""
    words = {"grant": "password", "username": "api@crm", "password": PASSWORD, "refreshes": True}
    return a_job(**{"client_secret": SECRET} | words | changes)


def refresh_only(**changes) -> Job:
    """A job whose only grant is its refresh token."""
    return a_job(**{"client_secret": SECRET, "grant": "refresh_token", "refresh_token": SEED} | changes)


def token(number: int = 1, lifetime: int | None = 3600, **more):
    """The provider's answer with token `number`."""
    words = {"access_token": f"AT-{number}", "token_type": "Bearer"}
    if lifetime is not None:
        words["expires_in"] = lifetime
    return answer(200, words | more)


def refused(error: str = "invalid_grant", status: int = 400, **headers: str):
    return answer(status, {"error": error, "error_description": "a text of the provider's own"}, **headers)
