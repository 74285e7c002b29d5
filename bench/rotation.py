"""`rotation`: processor time of the whole path against the bare pair of requests, by our client and by others."""

import asyncio
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from typing import Final

from bench import clients, counts
from bench.clients import Place, each_of
from bench.fleet import serving, settings_of
from bench.report import Report
from bench.servers import House, house, token_of
from refresher.core.secret import Secret

AT_ONCE: Final = 8
WHATS: Final[Mapping[str, str]] = {
    "whole": "refresher: the whole path",
    "pair": "the bare pair, by httpx over aiohttp, as refresher uses them",
    "wire": "the bare pair, by refresher's own wire",
    "pair_closing": "the bare pair, by httpx over aiohttp, a connection for each token request",
    "httpx": "the bare pair, by stock httpx",
    "aiohttp": "the bare pair, by aiohttp",
    "requests": "the bare pair, by requests and hvac, one after the other",
    "threads": "the bare pair, by stock httpx, and hvac in threads",
    "sockets": "the bare pair, by bare sockets",
}
Contestant = Callable[[], Awaitable[None]]


def run(*, quick: bool) -> Report:
    """Measure."""
    report = Report("rotation", quick=quick)
    with house() as (stand, bao):
        costs = asyncio.run(_rounds(stand, token_of(bao), rounds=1 if quick else 11, each=8 if quick else 160))
    for key, values in costs.items():
        report.add(f"{key}_ms", f"{WHATS[key]}, processor time per rotation", "ms", values)
    for key in costs:
        if key != "whole":
            report.ratio(f"whole_to_{key}", f"the whole path against: {WHATS[key]}", costs["whole"], costs[key])
    counts.add(report)
    report.note(f"{AT_ONCE} in flight; OpenBao keeps its data in memory; each round each contestant, in another order.")
    return report


async def _rounds(stand: House, token: Secret, *, rounds: int, each: int) -> Mapping[str, list[float]]:
    costs: defaultdict[str, list[float]] = defaultdict(list)
    async with AsyncExitStack() as stack:
        fleet = await stack.enter_async_context(serving(settings_of(stand.config(each))))
        ways: dict[str, Contestant] = {"whole": fleet.rotate}

        def place(name: str) -> Place:
            return Place(list(stand.urls), stand.address, token, name)

        for name, client in (
            ("pair", clients.over_aiohttp(place("pair"))),
            ("wire", clients.by_our_wire(place("wire"))),
            ("pair_closing", clients.over_aiohttp(place("closing"), closing=True)),
            ("httpx", clients.by_httpx(place("httpx"))),
            ("aiohttp", clients.by_aiohttp(place("aiohttp"))),
            ("threads", clients.by_threads(place("threads"))),
            ("sockets", clients.by_sockets(place("sockets"))),
        ):
            pair = await stack.enter_async_context(client)
            ways[name] = lambda pair=pair: each_of(pair, each, AT_ONCE)  # type: ignore[misc]  # mypy knows no such lambda
        plain = stack.enter_context(clients.by_requests(place("requests")))

        async def one_by_one() -> None:
            for number in range(each):
                plain(number)

        ways["requests"] = one_by_one
        order = list(ways)
        for turn in range(rounds + 1):
            for name in order[turn % len(order) :] + order[: turn % len(order)]:
                began = time.process_time()
                await ways[name]()
                spent = (time.process_time() - began) / each * 1000
                if turn:  # the first is to warm up
                    costs[name].append(spent)
    return {name: costs[name] for name in WHATS}
