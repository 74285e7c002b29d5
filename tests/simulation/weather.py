"""What goes wrong in a simulated world now and then: each fault comes by itself, at moments drawn from the seed."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from random import Random

from tests.rotation.house import path_of, state_of
from tests.simulation.process import Process
from tests.simulation.vault import AWAY
from tests.simulation.world import World

DAY = 86_400.0
MINUTE = 60.0
HOST_MODES = ("refused", "hangs", "error", "throttled")
STEPS = 60  # outward steps that a process may live on when its kill is drawn


class Weather:
    """Makes trouble for `world`. `processes` are killed and stopped by it; `down` is how long the last one stays so."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.process: Process | None = None
        self.down = 0.0
        self._names = list(world.jobs)

    def fronts(self) -> Iterator[Awaitable[None]]:
        """Yield a round for each fault that may come."""
        faults, hosts = self.world.plan.faults, list(self.world.provider.hosts.values())
        deeds: dict[str, tuple[float, Callable[[Random], Awaitable[None]]]] = {
            "vault_away": (faults.vault_away, lambda r: self._vault(r, 5, 9 * MINUTE)),
            "vault_away_long": (faults.vault_away_long, lambda r: self._vault(r, 12 * MINUTE, 90 * MINUTE)),
            "touched": (faults.touched, self._touch),
            "stranger": (faults.stranger, self._stranger),
            "deleted": (faults.deleted, self._delete),
            "host_away": (faults.host_away * len(hosts), lambda r: self._host(r, 10, 9 * MINUTE)),
            "host_away_long": (faults.host_away_long * len(hosts), lambda r: self._host(r, 15 * MINUTE, 180 * MINUTE)),
            "false_refusal": (
                faults.false_refusal * len(hosts),
                lambda r: self._host(r, MINUTE, 12 * MINUTE, "invalid_client"),
            ),
            "quota": (faults.quota * len(self._names), self._quota),
            "killed": (faults.killed, lambda r: self._kill(r, 1, 30)),
            "stopped": (faults.stopped, self._stop),
            "down_long": (faults.down_long, lambda r: self._kill(r, 15 * MINUTE, 60 * MINUTE)),
            "suspended": (faults.suspended, self._suspend),
            "clock_leaps": (faults.clock_leaps, self._leap),
            "clock_steps": (faults.clock_steps, self._step),
        }
        for name, (rate, deed) in deeds.items():
            if rate:
                yield self._front(name, rate, deed)
        yield self._people()

    async def _front(self, name: str, rate: float, deed: Callable[[Random], Awaitable[None]]) -> None:
        random, loop = self.world.random(name), self.world.loop
        ends = self.world.plan.seconds - self.world.plan.calm
        while True:
            await asyncio.sleep(random.expovariate(rate / DAY))
            if loop.now > ends:
                return
            self.world.say("fault", name)
            await deed(random)

    async def _vault(self, random: Random, least: float, most: float) -> None:
        world = self.world
        if world.vault.outage:
            return
        world.vault.outage, begins = random.choice(tuple(AWAY)), world.loop.true
        how = world.vault.outage
        await asyncio.sleep(_between(random, least, most))
        world.vault.outage = ""
        world.declare("vault", begins, how)
        others = {span.what for span in world.account.spans if span.ends > begins - 10 * MINUTE}
        free = [
            name
            for name, host in world.hosts.items()
            if not ({f"host {host}", f"job {name}"} & others or world.provider.hosts[host].mode)
        ]
        world.account.vault_back(world.loop.true, free)

    async def _host(self, random: Random, least: float, most: float, mode: str = "") -> None:
        world = self.world
        host = random.choice(list(world.provider.hosts.values()))
        if host.mode:
            return
        lasts, begins = _between(random, least, most), world.loop.true
        host.mode, host.ends = mode or random.choice(HOST_MODES), begins + lasts
        how = host.mode
        await asyncio.sleep(lasts)
        host.mode = ""
        # whoever was asked to stay away for longer than that does so
        asked = [world.provider.clients[name].not_before for name, where in world.hosts.items() if where == host.name]
        world.declare(f"host {host.name}", begins, how, max(world.loop.true, *asked))

    async def _quota(self, random: Random) -> None:
        client = self.world.provider.clients[random.choice(self._names)]
        now, lasts = self.world.loop.true, _between(random, 10 * MINUTE, 60 * MINUTE)
        if now > client.quota:
            client.quota = now + lasts
            self.world.declare(f"job {client.name}", now, "quota", now + lasts)

    async def _touch(self, random: Random) -> None:
        place = random.choice((path_of, state_of))(random.choice(self._names))
        stands = self.world.vault.stands(place)
        if stands is not None:
            self.world.vault.put(place, stands)

    async def _stranger(self, random: Random) -> None:
        name = random.choice(self._names)
        if self.world.vault.stands(path_of(name)) is not None:
            self.world.stranger_puts(name, random.uniform(30 * MINUTE, 90 * MINUTE))

    async def _delete(self, random: Random) -> None:
        name = random.choice(self._names)
        if self.world.vault.stands(path_of(name)) is not None:
            self.world.vault.delete(path_of(name))
            self.world.account.deleted(name, self.world.loop.true)

    async def _kill(self, random: Random, least: float, most: float) -> None:
        """At once, or so many outward steps later, where it is in the midst of something."""
        process = self.process
        if process is None or process.life.dead or process.life.left > 0:
            return
        self.down = _between(random, least, most)
        if random.random() < 0.3:
            process.life.end()
        else:
            process.life.left = random.randint(1, STEPS)

    async def _stop(self, random: Random) -> None:
        if self.process is not None:
            self.down = _between(random, 1, 30)
            self.process.stop.set()

    async def _suspend(self, random: Random) -> None:
        begins, lasts = self.world.loop.true, _between(random, 5, 8 * MINUTE)
        self.world.loop.suspended += lasts
        self.world.declare("daemon", begins, "suspended")

    async def _leap(self, random: Random) -> None:
        """An hour to or fro; somebody sets it right later."""
        leap = random.choice((-3600.0, 3600.0))
        self.world.leaped(leap)
        await asyncio.sleep(_between(random, MINUTE, 30 * MINUTE))
        self.world.leaped(-leap)

    async def _step(self, random: Random) -> None:
        """Up to 10 s; NTP has it right again when the next one comes."""
        step = random.uniform(-10, 10)
        self.world.leaped(step)
        await asyncio.sleep(random.uniform(10, 120))
        self.world.leaped(-step)

    async def _people(self) -> None:
        """Whoever has to consent anew does so, 20 min after the family was ended."""
        world = self.world
        revoked: dict[str, float] = {}
        clients = [client for client in world.provider.clients.values() if client.name.startswith("rt")]
        while clients:
            await asyncio.sleep(5 * MINUTE)
            for client in clients:
                since = revoked.setdefault(client.name, world.loop.true) if client.revoked else None
                if since is None:
                    revoked.pop(client.name, None)
                elif world.loop.true - since > 20 * MINUTE:
                    world.references.texts[f"env:SEED-{client.name}"] = world.provider.consent(client.name)
                    world.say("consented", client.name)
                    world.declare(f"job {client.name}", since - 6 * MINUTE, "consent")


def _between(random: Random, least: float, most: float) -> float:
    """Draw a span, short ones more often than long ones."""
    return least * (most / least) ** random.random()
