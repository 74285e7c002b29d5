"""`flat`: whether a rotation costs the same however many are in flight, and however many token hosts there are."""

import asyncio
import time
from collections import defaultdict
from collections.abc import Mapping
from contextlib import AsyncExitStack
from typing import Final

from bench import clients
from bench.clients import Place, each_of
from bench.fleet import serving, settings_of
from bench.report import Report
from bench.servers import House, house, token_of
from refresher.core.secret import Secret

FLIGHTS: Final = (1, 8, 32, 128)
ORIGINS: Final = (1, 50, 200)
JOBS: Final = 250
FIXED: Final = 8  # in flight, where the number of hosts changes
HTTPX: Final = 100  # pairs of stock httpx in a round: a hundred tell enough


def run(*, quick: bool) -> Report:
    """Measure."""
    report = Report("flat", quick=quick)
    flights, origins, jobs, rounds = ((1, 4), (1, 2), 4, 1) if quick else (FLIGHTS, ORIGINS, JOBS, 5)
    with house(max(origins)) as (stand, bao):
        costs = asyncio.run(_rounds(stand, token_of(bao), flights, origins, jobs, rounds, warm_up=not quick))
    for kind, sizes, unit in (("flight", flights, "in flight"), ("origin", origins, "token hosts")):
        for who, name in (("whole", "refresher"), ("httpx", "stock httpx, the bare pair")):
            first = costs[f"{who}_{kind}_{sizes[0]}"]
            for size in sizes:
                values = costs[f"{who}_{kind}_{size}"]
                report.add(f"{who}_{kind}_{size}_ms", f"{name}, {size} {unit}", "ms", values)
                if size != sizes[0]:
                    what = f"{name}, {size} {unit}, against {sizes[0]}"
                    report.ratio(f"{who}_{kind}_{size}_to_1", what, values, first)
    report.note(f"Processor time per rotation of {jobs} jobs; where the hosts change, {FIXED} are in flight.")
    return report


async def _rounds(  # noqa: PLR0913, PLR0917  # the sizes
    stand: House,
    token: Secret,
    flights: tuple[int, ...],
    origins: tuple[int, ...],
    jobs: int,
    rounds: int,
    *,
    warm_up: bool,
) -> Mapping[str, list[float]]:
    costs: defaultdict[str, list[float]] = defaultdict(list)
    cases = [("flight", size, size, 1) for size in flights] + [("origin", size, FIXED, size) for size in origins]
    for turn in range(rounds + warm_up):
        for kind, size, at_once, hosts in cases[turn % len(cases) :] + cases[: turn % len(cases)]:
            for who, spent in (
                ("whole", await _whole(stand, at_once, hosts, jobs)),
                ("httpx", await _httpx(stand, token, at_once, hosts, min(jobs, HTTPX))),
            ):
                if turn >= warm_up:
                    costs[f"{who}_{kind}_{size}"].append(spent)
    return costs


async def _whole(stand: House, at_once: int, hosts: int, jobs: int) -> float:
    some = House(stand.folder, stand.address, stand.role_id, stand.urls[:hosts])
    total = at_once + (at_once + 2) // 3  # a quarter of all is for hosts with nothing under way
    settings = settings_of(some.config(jobs, per_host=at_once, total=total if hosts == 1 else at_once))
    async with serving(settings) as fleet:
        await fleet.rotate()
        began = time.process_time()
        await fleet.rotate()
        return (time.process_time() - began) / jobs * 1000


async def _httpx(stand: House, token: Secret, at_once: int, hosts: int, pairs: int) -> float:
    place = Place(list(stand.urls[:hosts]), stand.address, token, f"flat-{at_once}-{hosts}-{time.monotonic_ns()}")
    async with AsyncExitStack() as stack:
        pair = await stack.enter_async_context(clients.by_httpx(place))
        await each_of(pair, max(pairs, hosts), at_once)
        began = time.process_time()
        await each_of(pair, pairs, at_once)
        return (time.process_time() - began) / pairs * 1000
