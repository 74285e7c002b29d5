"""Simulate a plan, and judge what came of it."""

import asyncio
import gc
import resource
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count

from refresher.standing import state_of
from tests.simulation.account import Expired, Span
from tests.simulation.loop import VirtualLoop
from tests.simulation.planted import planted
from tests.simulation.process import Process
from tests.simulation.weather import Weather
from tests.simulation.world import Plan, World

MOST = 1.1  # times the nominal requests, beyond retries
REPORTED = 900.0  # seconds within which a grant that may be spent is told of, where Vault can be reached
SETTLED = 2  # hours after the start, and after an outage, in which the rate of requests says nothing of the usual


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What a simulation came to. Seconds are virtual but for `wall_s`; `wrong` is empty where all is well."""

    plan: Plan
    expired: Expired
    strangers_expired_s: float
    missing_s: float
    lost: int
    killed_between: int
    unreported: int
    replays: int
    declared_replays: int
    early: int
    requests: int
    granted: int
    written: int
    per_job_hour: float
    granted_per_job_hour: float
    nominal: float
    peak_to_mean: float
    calm_peak_to_mean: float
    most_at_host: int
    most_in_all: int
    lives: int
    lag_s: float
    stuck: tuple[str, ...]
    bugs: tuple[str, ...]
    trace: str
    lines: int
    wall_s: float
    cpu_s: float
    rss_mb: float
    spans: tuple[Span, ...] = field(repr=False, default=())
    by_minute: tuple[int, ...] = field(repr=False, default=())
    failed_by_minute: tuple[int, ...] = field(repr=False, default=())
    dead: tuple[tuple[str, float, float], ...] = field(repr=False, default=())
    kinds: dict[str, int] = field(repr=False, default_factory=dict)
    events: dict[str, int] = field(repr=False, default_factory=dict)
    twice_at_once: int = 0

    @property
    def ratio(self) -> float:
        """Tokens that were issued, by job and hour, as a multiple of what is nominal."""
        return self.granted_per_job_hour / self.nominal

    @property
    def wrong(self) -> list[str]:
        limits = self.plan.limits
        told = {
            f"{self.expired.outside:.0f} expired-seconds outside long outages, worst {self.expired.worst}": (
                self.expired.outside >= 1
            ),
            f"{self.lost} refresh tokens lost": self.lost,
            f"{self.unreported} grants that may be spent, and nobody was told": self.unreported,
            f"{self.replays} spent refresh tokens sent again": self.replays,
            f"{self.early} requests sooner than Retry-After allows": self.early,
            f"{self.ratio:.2f} times the nominal requests": self.ratio > MOST,
            f"{self.twice_at_once} times two requests at once for one job": self.twice_at_once,
            f"{self.most_at_host} requests at once to a host": self.most_at_host > limits.per_host,
            f"{self.most_in_all} requests at once": self.most_in_all > limits.total,
            f"not fresh at the calm end: {', '.join(self.stuck[:5])}": self.stuck,
            f"{len(self.bugs)} exceptions: {self.bugs[:1]}": self.bugs,
        }
        return [text for text, wrong in told.items() if wrong]

    def __str__(self) -> str:
        plan, expired = self.plan, self.expired
        lines = (
            f"{plan.days:g} days, {plan.jobs} jobs, seed {plan.seed}{f', planted: {plan.plant}' if plan.plant else ''}",
            f"rotations            {self.written}, by {self.lives} lives of the daemon",
            (
                f"expired-seconds      {expired.outside:.0f} outside; {expired.during:.0f} in outages longer than"
                f" {plan.promised:.0f} s, {expired.after:.0f} until recovered from them"
            ),
            f"  of strangers'      {self.strangers_expired_s:.0f}; {self.missing_s:.0f} s with nothing at the path",
            (
                f"refresh tokens       {self.lost} lost; {self.killed_between} killed between answer and journal,"
                f" {self.unreported} of these unreported; {self.replays} replays,"
                f" {self.declared_replays} as a last resort"
            ),
            (
                f"requests             {self.requests}: {self.per_job_hour:.3f} per job and hour;"
                f" granted {self.granted_per_job_hour:.3f}, {self.ratio:.3f} x nominal ({self.nominal:.3f})"
            ),
            f"  early              {self.early}",
            f"  peak to mean       {self.peak_to_mean:.1f} by the minute; {self.calm_peak_to_mean:.1f} in calm times",
            f"  at once            {self.most_at_host} at a host, {self.most_in_all} in all",
            f"after Vault's return {self.lag_s:.1f} s until all dead tokens were replaced, at most",
            f"wall time            {self.wall_s:.1f} s, {self.cpu_s:.1f} s of CPU, {self.rss_mb:.0f} MB",
            f"trace                {self.trace} ({self.lines} lines)",
            "verdict              " + ("good" if not self.wrong else "BAD: " + "; ".join(self.wrong)),
        )
        return "\n".join(lines)


def simulate(
    plan: Plan, *, tail: Callable[[str], object] | None = None, progress: Callable[[str], object] | None = None
) -> Report:
    """Run a plan from its seed. `tail` is called with each line of the trace, `progress` at the end of each day."""
    began, thresholds = (time.perf_counter(), time.process_time()), gc.get_threshold()
    nominal = plan.nominal  # before a bug is planted in what it is made of
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 50, 100)
    try:
        with planted(plan.plant), asyncio.Runner(loop_factory=VirtualLoop) as runner:
            world = World(plan, runner.get_loop())
            world.tail = tail
            stuck, lives = runner.run(_live(world, progress))
            report = _report(
                world, stuck, lives, nominal, (time.perf_counter() - began[0], time.process_time() - began[1])
            )
    finally:
        gc.set_threshold(*thresholds)
        gc.unfreeze()
    return report


async def _tell_days(world: World, told: Callable[[str], object]) -> None:
    """Say at the end of each day how far it is."""
    began = time.perf_counter()
    for day in count(1):
        await asyncio.sleep(86_400)
        told(f"day {day}: {time.perf_counter() - began:.0f} s, {world.account.written} rotations\n")


async def _live(world: World, progress: Callable[[str], object] | None) -> tuple[tuple[str, ...], int]:
    """Let one daemon after another live until the end; return who was not fresh then, and how many there were."""
    loop, weather, lives = world.loop, Weather(world), 0
    random = world.random("starts")
    fronts = [loop.create_task(front) for front in weather.fronts()]
    if progress is not None:
        fronts.append(loop.create_task(_tell_days(world, progress)))
    end = loop.create_task(asyncio.sleep(world.plan.seconds))
    while True:
        weather.process = process = Process(world)
        world.unkept = process.unkept
        lives += 1
        run = loop.create_task(process.run())
        await asyncio.wait([run, end], return_when=asyncio.FIRST_COMPLETED)
        if not run.done():
            break
        begins, in_order = loop.true, run.result()
        weather.process = None
        if in_order:
            world.check_kept()
            world.journal.released()
        else:
            world.died(process.under_way)
        world.say("ended", "", "in order" if in_order else "killed")
        await asyncio.wait([end], timeout=weather.down)
        world.declare("daemon", begins, "down")
        world.begins(forgets=random.random() < world.plan.faults.ledger_lost)
    for front in fronts:
        front.cancel()
    await asyncio.wait(fronts)
    world.check_kept()
    stuck = tuple(
        f"{name} is {state}"
        for name, charge in process.roster.charges.items()
        if (state := state_of(charge, charge.now(world.clock), "holder-1")) not in ("fresh", "due", "retrying")
    )
    world.account.end(loop.true)
    process.life.end()
    await run
    for one in fronts:
        if not one.cancelled() and one.exception() is not None:
            raise one.exception()
    return stuck, lives


def _report(world: World, stuck: tuple[str, ...], lives: int, nominal: float, wall: tuple[float, float]) -> Report:
    plan, account, tally, loop = world.plan, world.account, world.provider.tally, world.loop
    job_hours = plan.jobs * loop.true / 3600
    minutes = tally.by_minute[: int(loop.true // 60)]
    calm = _calm(minutes, account.spans)
    mean = sum(minutes) / max(len(minutes), 1)
    hosts = world.provider.hosts.values()
    return Report(
        plan=plan,
        expired=account.reckon(plan.promised, world.hosts),
        strangers_expired_s=account.strangers_expired,
        missing_s=account.missing,
        lost=len(account.lost),
        killed_between=account.killed_between,
        unreported=sum(1 for at in account.unreported.values() if loop.true - at > REPORTED),
        replays=len(tally.replayed),
        declared_replays=tally.declared_replays,
        early=tally.early,
        requests=tally.requests,
        granted=tally.granted,
        written=account.written,
        per_job_hour=tally.requests / job_hours,
        granted_per_job_hour=(tally.granted - plan.jobs) / job_hours,  # the first token of each comes on top
        nominal=nominal,
        peak_to_mean=max(minutes) / mean,
        calm_peak_to_mean=max(calm) / (sum(calm) / len(calm)) if any(calm) else 0.0,
        most_at_host=max(host.most for host in hosts),
        most_in_all=tally.most_in_all,
        lives=lives,
        lag_s=max(account.lags, default=0.0),
        stuck=stuck,
        bugs=tuple(account.bugs),
        trace=world.trace,
        lines=world.lines,
        wall_s=wall[0],
        cpu_s=wall[1],
        rss_mb=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        spans=tuple(account.spans),
        by_minute=tuple(minutes),
        failed_by_minute=tuple(tally.failed_by_minute[: len(minutes)]),
        dead=tuple(account.expired),
        kinds=dict(tally.kinds),
        events=dict(account.events),
        twice_at_once=tally.twice_at_once,
    )


def _calm(minutes: list[int], spans: list[Span]) -> list[int]:
    """Return the minutes that are longer than SETTLED after the start and after each outage of Vault or the daemon."""
    after = SETTLED * 60
    busy = set(range(after))
    for span in spans:
        if span.what in ("vault", "daemon") and span.ends - span.begins > 60:
            busy |= set(range(int(span.begins // 60), int(span.ends // 60) + after))
    return [count for minute, count in enumerate(minutes) if minute not in busy]
