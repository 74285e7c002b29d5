"""What goes wrong with a fleet, and what that may cost: which tokens may die of it, and until when.

A fault alone may let a token die that is renewed a third of its life before its end: a job that a node had in its hands
is nobody else's for a while. Which jobs these are is looked up when it happens:

- frozen, or cut off: the jobs whose locks the node holds. They go on once it does.
- killed, or cut off: the jobs whose grant it had perhaps spent, by what it wrote to Vault. Somebody else takes them
  over after the lease of that intent.

Whatever else happens costs no token a second: PostgreSQL crashes, connections are cut, nodes end and begin again.
"""

import random
import signal
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from refresher.intent import LEASE as INTENT
from tests.e2e.cable import Cable
from tests.e2e.fleet import LEASE, POLL, Fleet
from tests.e2e.site import Site

FAR = -1  # the host behind the cable
BACK_S = 8.0  # after it was frozen or cut off: its connections' deadlines, a turn of the lease, and a walk


@dataclass
class Fault:
    """`jobs` may be without a live token, each from when it began until that time (Unix seconds)."""

    kind: str
    began: float = field(default_factory=time.time)
    jobs: dict[str, float] = field(default_factory=dict)

    def held(self, names: Iterable[str]) -> None:
        """Note which jobs were in the hands of a node that goes on from now."""
        self.jobs |= {name: max(time.time() + BACK_S, self.jobs.get(name, 0.0)) for name in names}

    def spent(self, names: Iterable[str]) -> None:
        """Note whose grant was perhaps spent when it began."""
        self.jobs |= dict.fromkeys(names, self.began + INTENT.total_seconds() + LEASE + POLL + BACK_S)

    def excuses(self, dead: "Dead") -> bool:
        return self.began <= dead.since and dead.until <= self.jobs.get(dead.job, 0.0)


@dataclass(frozen=True)
class Dead:
    """A reader finds nothing alive at the path of `job` from `since` until `until`, Unix seconds."""

    job: str
    since: float
    until: float


class Havoc:
    """One run over a fleet whose last host is behind `cable`. Each deed returns once it is over."""

    def __init__(self, fleet: Fleet, cable: Cable, seed: int, *, away: float, freeze: float) -> None:
        self.fleet, self.cable, self.away, self.freeze = fleet, cable, away, freeze
        self.random = random.Random(seed)  # noqa: S311  # no secret
        self.nodes = [fleet.start(number) for number in range(len(fleet.hosts))]
        self.faults: list[Fault] = []

    def do(self, deed: Callable[[Fault], None]) -> None:
        """Do it, and note when, and what it may cost."""
        fault = Fault(deed.__name__.replace("_", " "))
        self.faults.append(fault)
        deed(fault)

    def kill_9(self, fault: Fault) -> None:
        number = self._one()
        self.nodes[number].kill()
        time.sleep(0.2)  # what it had sent to Vault has arrived
        fault.spent(self.fleet.spent_by(number))
        self._again(number)

    def frozen(self, fault: Fault) -> None:
        number = self._one()
        process = self.nodes[number].process
        process.send_signal(signal.SIGSTOP)
        began, held = time.monotonic(), self.fleet.locked_by(number)
        time.sleep(max(began + self.freeze - time.monotonic(), 0.0))
        process.send_signal(signal.SIGCONT)
        fault.held(held)

    def cut_off(self, fault: Fault) -> None:
        self.cable.pull()
        began, held = time.monotonic(), self.fleet.locked_by(FAR)
        fault.spent(self.fleet.spent_by(FAR))
        time.sleep(max(began + self.away - time.monotonic(), 0.0))
        self.cable.put_back()
        fault.held(held)

    def crash_of_PostgreSQL(self, _: Fault) -> None:  # noqa: N802  # it is told by this name
        self.fleet.base.server.stop(signal.SIGQUIT)
        time.sleep(1)
        self.fleet.base.server.start()

    def half_of_the_connections(self, _: Fault) -> None:
        for _ in range(2):
            self.fleet.base.sql(
                "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
                " WHERE application_name LIKE 'refresher %' AND random() < 0.5"
            )
            time.sleep(1)

    def drain(self, _: Fault) -> None:
        number = self._one()
        assert self.nodes[number].stop() == 0
        self._again(number)

    def rolling_restart(self, _: Fault) -> None:
        for number in range(len(self.nodes)):
            assert self.nodes[number].stop() == 0
            self._again(number)

    def table(self, deaths: Iterable[Dead]) -> list[str]:
        """Return a line for each kind of fault: how often, what it may have cost, and what it did."""
        blamed: dict[str, list[Dead]] = defaultdict(list)
        for dead in deaths:
            kind = next((fault.kind for fault in self.faults if fault.excuses(dead)), "nothing that was declared")
            blamed[kind].append(dead)
        lines = []
        for kind in sorted({fault.kind for fault in self.faults} | blamed.keys()):
            ones = [fault for fault in self.faults if fault.kind == kind]
            longest = max((dead.until - dead.since for dead in blamed[kind]), default=0.0)
            lines.append(
                f"{kind}: {len(ones)} times, {sum(len(one.jobs) for one in ones)} jobs that it may cost a token,"
                f" {len(blamed[kind])} dead, for {longest:.1f} s at most"
            )
        return lines

    def _one(self) -> int:
        return self.random.randrange(len(self.nodes))

    def _again(self, number: int) -> None:
        self.nodes[number] = self.fleet.start(number)
        self.nodes[number].wait_for("started", level="info", within=60)


def deaths(site: Site, names: Iterable[str], ended: float) -> list[Dead]:
    """Return all times until `ended` in which a job's path held nothing alive; the mount keeps every version."""
    found = []
    for name in names:
        path = str(site.jobs[name]["path"])
        ends = [float(one["expires_at_unix"]) for one in site.history(path)]
        after = [*site.written_at(path)[1:], ended]
        found += [Dead(name, end, then) for end, then in zip(ends, after, strict=True) if end < then]
    return found
