"""A simulated world: Vault, providers, a disk, people, and one daemon after another that lives in it.

Rules of this module:
- Whatever is drawn is drawn from the one seed, by a source for each purpose; nothing depends on the machine.
- What happens goes into the trace, line by line: the same seed makes the same trace.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from random import Random

from refresher.core import due, remembered
from refresher.core.events import Event
from refresher.core.job import Job
from refresher.core.model import Reference
from refresher.core.published import mark
from refresher.core.settings import Limits
from tests.fakes.journal import FakeJournal
from tests.fakes.ledger import FakeLedger
from tests.rotation.house import job, path_of, refreshing, state_of
from tests.rotation.stage import IDENTITY, PASSWORD, SECRET, FakeReferences
from tests.simulation.account import Account, Span
from tests.simulation.faults import Faults
from tests.simulation.loop import START, SkewedClock, VirtualLoop
from tests.simulation.provider import Client, Host, SimulatedProvider
from tests.simulation.vault import SimulatedVault

JOBS_OF_A_HOST = 60
DISK = 1.0  # seconds until the ledger's thread has written what it was told
SORTS = ("cc", "cc", "cc", "pw", "cc", "cc", "pw", "cc", "pw", "rt")


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is to be simulated. `lifetime` is that of every token, in seconds; `plant` the name of a bug, or `""`."""

    days: float = 1.0
    jobs: int = 50
    seed: int = 1
    lifetime: int = 3600
    faults: Faults = field(default_factory=Faults)
    plant: str = ""
    limits: Limits = field(default_factory=Limits)

    @property
    def seconds(self) -> float:
        return self.days * 86_400

    @property
    def calm(self) -> float:
        """Seconds at the end in which nothing new goes wrong: what is well then was not stuck."""
        return min(7200.0, self.seconds / 4)

    @property
    def promised(self) -> float:
        """Seconds of life that readers may count on."""
        return due.promised(timedelta(seconds=self.lifetime), None).total_seconds()

    @property
    def nominal(self) -> float:
        """Requests of one job in an hour where nothing goes wrong."""
        lead = due.lead(timedelta(seconds=self.lifetime), None, part=0.5).total_seconds()
        return 3600 / (self.lifetime - lead)


class Disk(FakeLedger):
    """The ledger's file: what it was told in the last second is not on disk yet."""

    def __init__(self, loop: VirtualLoop) -> None:
        super().__init__()
        self._loop = loop
        self._fresh: list[tuple[float, str, str | None]] = []

    def note(self, ended, at, kept):
        now = self._loop.now
        if self._fresh and self._fresh[-1][0] < now - DISK:
            self._fresh.clear()
        self._fresh.append((now, ended.job, self.jobs.get(ended.job)))
        super().note(ended, at, kept)

    def cut(self) -> None:
        """The power goes."""
        since = self._loop.now - DISK
        for at, name, before in reversed(self._fresh):
            if at >= since:
                self.jobs.pop(name, None) if before is None else self.jobs.update({name: before})
        self._fresh.clear()


class World:
    """Everything but the daemon. `say` puts a line into the trace."""

    def __init__(self, plan: Plan, loop: VirtualLoop) -> None:
        self.plan, self.loop = plan, loop
        self.clock = SkewedClock(loop)
        self.account = Account()
        self.vault = SimulatedVault(plan.faults, self.random("vault"), lambda: loop.true)
        self.vault.after = self._after
        self.provider = SimulatedProvider(loop, plan.faults, self.random("provider"), plan.days, plan.lifetime)
        self.provider.saw, self.provider.forgiven = self._saw, self.is_forgiven
        self.provider.asks = self._asks
        self.unkept: Callable[[str], str] = lambda _name: ""  # what the process that lives has in hand, by job
        self.vault.failed = lambda place: self.account.failures[place.path.rpartition("/")[2]].append(loop.true)
        self.journal, self.ledger = FakeJournal(), Disk(loop)
        self.references = FakeReferences({str(SECRET): "client-secret", str(PASSWORD): "pass-word"})
        self.forgiven: dict[str, str] = {}  # refresh tokens that a kill left nowhere, by job
        self.jobs = {one.name: one for one in map(self._job, range(plan.jobs))}
        self.hosts = {name: one.host for name, one in self.jobs.items()}
        self.single_use = [name for name in self.jobs if not name.startswith("cc")]
        self._single_use = frozenset(self.single_use)
        self._trace = hashlib.blake2b(digest_size=16)
        self.lines = 0
        self.tail: Callable[[str], None] | None = None

    def random(self, purpose: str) -> Random:
        return Random(f"{self.plan.seed}/{purpose}")  # noqa: S311  # nothing is kept secret by it

    @property
    def trace(self) -> str:
        """What stands for all that has happened."""
        return self._trace.hexdigest()

    def say(self, what: str, who: str, more: str = "") -> None:
        line = f"{self.loop.true:.6f} {what} {who} {more}\n"
        self._trace.update(line.encode())
        self.lines += 1
        if self.tail is not None:
            self.tail(line)

    def _saw(self, kind: str, name: str, more: str = "") -> None:
        if kind not in ("granted", "early"):
            self.account.failures[name].append(self.loop.true)
        self.say(kind, name, more)

    def tell(self, event: Event) -> None:
        """ports.Sink of every daemon."""
        if event.name != "rotated" and event.level != "debug":
            self.account.events[f"{event.name} {event.level}"] += 1
        if event.fields.get("error") == "internal":
            self.account.bugs.append(f"{event.job} {dict(event.fields)}")
        if event.name == "grant_unknown":
            self.account.unreported.pop(event.job, None)
        error = event.fields.get("error", "")
        self.say(event.name, event.job, f"{event.level} {error} {event.fields.get('expires_at', '')}")

    def declare(self, what: str, begins: float, how: str = "", ends: float | None = None) -> None:
        """Note that something was away, until now unless `ends` says otherwise."""
        self.account.spans.append(Span(what, begins, self.loop.true if ends is None else ends, how))

    def is_forgiven(self, name: str) -> bool:
        return self.provider.clients[name].delivered == self.forgiven.get(name)

    def died(self, under_way: set[str]) -> None:
        """A process was killed: what it knew alone is gone. `under_way`: whom it walked, or was about to."""
        self.journal.released()
        self.ledger.cut()
        for name in self.single_use:
            newest = self.provider.clients[name].delivered
            if newest and newest != self.forgiven.get(name) and not self.stands(name, newest):
                if name not in under_way:
                    self.account.lost.append(f"{newest} at {self.loop.true:.0f}: nobody was busy with it")
                self.forgiven[name] = newest
                self.account.killed_between += 1
                self.account.unreported[name] = self.loop.true

    def begins(self, *, forgets: bool) -> None:
        """A process begins; with `forgets` it can't read the ledger. Whoever knows of no wait need not keep to it."""
        if forgets:
            self.ledger.jobs.clear()
        for name, client in self.provider.clients.items():
            if client.not_before > self.loop.true:
                client.not_before = min(client.not_before, self._kept_until(name))

    def leaped(self, seconds: float) -> None:
        """The wall clock is set: by it, a wait is over sooner or later."""
        self.clock.skew += seconds
        for client in self.provider.clients.values() if seconds > 0 else ():
            client.not_before -= seconds

    def check_kept(self) -> None:
        """See that every refresh token whose answer arrived is somewhere."""
        for name in self.single_use:
            self._is_kept(name)

    def _asks(self, name: str, refresh_token: str) -> None:
        """See that the newest refresh token is not lost when something else is asked by."""
        if name in self._single_use and refresh_token != self.provider.clients[name].delivered:
            self._is_kept(name)

    def _is_kept(self, name: str) -> None:
        client = self.provider.clients[name]
        newest, forgiven = client.delivered, self.forgiven.get(name)
        if newest in ("", forgiven) or client.revoked or self.unkept(name) == newest or self.stands(name, newest):
            return
        self.account.lost.append(f"{newest} at {self.loop.true:.0f}")

    def stands(self, name: str, refresh_token: str) -> bool:
        """Whether a refresh token is where it outlives a process: the state record, the journal, or a person's hand."""
        record = (self.vault.stands(state_of(name)) or {}).get("refresh_token", "")
        entries = (self.journal.next.get(name), self.journal.last.get(name))
        given = self.references.texts.get(f"env:SEED-{name}", "")
        return refresh_token in (record, given) or any(
            f'"{refresh_token}"' in entry[0] for entry in entries if entry is not None
        )

    def _kept_until(self, name: str) -> float:
        text = self.ledger.jobs.get(name)
        kept = None if text is None else remembered.read(text)
        if kept is None or kept.trouble is None or kept.trouble.retry_at is None or kept.trouble.retry_after is None:
            return 0.0
        return (kept.trouble.retry_at - START).total_seconds() - self.clock.skew

    def _job(self, number: int) -> Job:
        sort = SORTS[number % len(SORTS)]
        name, host = f"{sort}-{number:06}", f"h{number // JOBS_OF_A_HOST}"
        where = f"{host}.example.com"
        self.provider.hosts.setdefault(where, Host(where, patient=number // JOBS_OF_A_HOST % 2 == 0))
        self.provider.clients[name] = Client(name, single_use=sort != "cc")
        match sort:
            case "cc":
                return job(name, host)
            case "pw":
                return refreshing(name, host)
            case _:
                seed = Reference(kind="env", target=f"SEED-{name}")
                self.references.texts[str(seed)] = self.provider.consent(name)
                return job(name, host, grant="refresh_token", refresh_token=seed)

    def _after(self, deed, place) -> None:
        if deed != "write" or not place.path.startswith("tokens/"):
            return
        name = place.path.removeprefix("tokens/")
        token = self.vault.stands(place)["access_token"]
        self.say("written", name, token)
        serial = int(token.rpartition("-")[2])
        self.account.wrote(name, self.loop.true, self.provider.clients[name].dies.get(serial, 0.0))

    def stranger_puts(self, name: str, lives: float) -> None:
        """Somebody puts a token of his own, which states its end; the path's metadata says still whose it is."""
        ends = (START + timedelta(seconds=self.loop.true + lives)).isoformat(timespec="seconds")
        marks = {"job": name, "managed_by": mark(IDENTITY.instance)}
        self.vault.put(path_of(name), {"access_token": "STRANGE", "expires_at": ends}, marks)
        self.account.wrote(name, self.loop.true, self.loop.true + lives, ours=False)
