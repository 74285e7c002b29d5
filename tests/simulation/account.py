"""The account of a simulation: what readers found, what was declared to be away, and what became of refresh tokens.

Readers are those of tokens/NAME: their token is dead when the provider says so, whatever any clock of ours does.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

GAP = 300.0  # seconds between two outages that count as one: the longest pause between two tries (core/backoff.py)
RECOVERY = 360.0  # seconds after a long outage, or after a try in them that failed: that pause, and a request


@dataclass(frozen=True, slots=True)
class Span:
    """A time in which something was away. `what`: `vault`, `daemon`, `host NAME` or `job NAME`. Seconds, true time."""

    what: str
    begins: float
    ends: float
    how: str = ""


@dataclass(slots=True)
class Path:
    """What readers find. `dies`: when it does. `ours`: it is no stranger's. `gone`: since when nothing stands there."""

    dies: float
    ours: bool = True
    gone: float | None = None


@dataclass(slots=True)
class Expired:
    """Seconds in which readers found a dead token.

    `during`: within an outage longer than the promised life; `after`: in the recovery from one; `outside`: all else.
    `worst`: the longest of the last kind, with its job and its begin.
    """

    during: float = 0.0
    after: float = 0.0
    outside: float = 0.0
    worst: tuple[float, str, float] = (0.0, "", 0.0)


@dataclass(slots=True)
class Account:
    """`expired`: (job, from, to) of each time that readers found a dead token of ours."""

    spans: list[Span] = field(default_factory=list)
    paths: dict[str, Path] = field(default_factory=dict)
    expired: list[tuple[str, float, float]] = field(default_factory=list)
    strangers_expired: float = 0.0
    missing: float = 0.0
    written: int = 0
    events: Counter[str] = field(default_factory=Counter)
    bugs: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    unreported: dict[str, float] = field(default_factory=dict)  # killed between request and journal, not told of yet
    killed_between: int = 0
    lags: list[float] = field(default_factory=list)
    failures: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))  # of single calls, by job
    waiting: set[str] = field(default_factory=set)  # who had a dead token when Vault came back
    back_at: float = 0.0

    def wrote(self, name: str, now: float, dies: float, *, ours: bool = True) -> None:
        """Note what stands at a job's path from now on."""
        self.written += ours
        path = self.paths.get(name)
        if path is not None:
            self._close(name, path, now)
        self.paths[name] = Path(dies=dies, ours=ours)
        if name in self.waiting:
            self.waiting.discard(name)
            self.lags.append(now - self.back_at)

    def deleted(self, name: str, now: float) -> None:
        """Note that nothing stands at a job's path from now on."""
        path = self.paths.get(name)
        if path is not None and path.gone is None:
            self._close(name, path, now)
            path.gone = now

    def vault_back(self, now: float, names: Iterable[str]) -> None:
        """Note who of `names` has a dead token now that Vault is back."""
        self.back_at = now
        self.waiting = {name for name in names if (path := self.paths.get(name)) is not None and path.dies < now}

    def end(self, now: float) -> None:
        """Close the account."""
        for name, path in self.paths.items():
            self._close(name, path, now)

    def _close(self, name: str, path: Path, now: float) -> None:
        if path.gone is not None:
            self.missing += now - path.gone
        elif now > path.dies and path.ours:
            self.expired.append((name, path.dies, now))
        elif now > path.dies:
            self.strangers_expired += now - path.dies

    def reckon(self, promised: float, hosts: dict[str, str]) -> Expired:
        """Sort the expired seconds by the outages that were declared; `hosts` is the token host of each job."""
        by_what: dict[str, list[Span]] = defaultdict(list)
        for span in self.spans:
            by_what[span.what].append(span)
        total = Expired()
        for name, begins, ends in self.expired:
            mine = [
                span for what in ("vault", "daemon", f"host {hosts[name]}", f"job {name}") for span in by_what[what]
            ]
            long = [span for span in merged(mine) if span.ends - span.begins > promised]
            during = sum(overlap(begins, ends, span.begins, span.ends) for span in long)
            after = sum(overlap(begins, ends, span.ends, self._recovered(name, span)) for span in long)
            outside = max(ends - begins - during - after, 0.0)
            total.during, total.after = total.during + during, total.after + after
            total.outside += outside
            total.worst = max(total.worst, (outside, name, begins))
        return total

    def _recovered(self, name: str, span: Span) -> float:
        """When a job must have recovered from an outage: each try that failed by itself meanwhile costs a pause."""
        until = span.ends + RECOVERY
        for failure in self.failures.get(name, ()):
            if span.ends < failure <= until:
                until = failure + RECOVERY
        return until


def merged(spans: Iterable[Span]) -> Iterator[Span]:
    """Yield spans, those that overlap or lie less than GAP apart as one."""
    whole: Span | None = None
    for span in sorted(spans, key=lambda one: one.begins):
        if whole is None or span.begins > whole.ends + GAP:
            if whole is not None:
                yield whole
            whole = span
        else:
            whole = Span(whole.what, whole.begins, max(whole.ends, span.ends))
    if whole is not None:
        yield whole


def overlap(begins: float, ends: float, others_begin: float, others_end: float) -> float:
    return max(min(ends, others_end) - max(begins, others_begin), 0.0)
