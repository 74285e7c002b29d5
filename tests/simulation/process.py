"""One life of a simulated daemon: roster, walks, outages and rounds as daemon.py wires them, with the real bell."""

import asyncio
from datetime import timedelta
from functools import partial
from unittest.mock import patch

from refresher.roster import Roster
from refresher.rotation import Rotation
from refresher.scheduler import apscheduler
from refresher.steady import steady
from refresher.watch import Watch
from tests.fakes.mortal import Life, Mortal
from tests.fakes.programs import provider_side
from tests.rotation.stage import IDENTITY
from tests.simulation.loop import Timer
from tests.simulation.world import World

DRIFT = timedelta(minutes=15)  # the default of `drift_check`


class Process:
    """Runs until it is killed or stopped. `life.left`: so many outward steps to live."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.life = life = Life(self._last_moment)
        self.ready, self.stop, self.ended = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self.under_way: set[str] = set()
        clock, sink, stores = world.clock, Mortal(world, life), {"": Mortal(world.vault, life)}
        rotation = Rotation(
            **provider_side(http=Mortal(world.provider, life), references=world.references, clock=clock),
            stores=stores,
            references=world.references,
            clock=clock,
            sink=sink,
            identity=IDENTITY,
            journal=Mortal(world.journal, life),
        )
        with patch.object(apscheduler, "AsyncIOScheduler", lambda **_: Timer(clock)):
            self._bell = apscheduler.Bell(clock)
        self.roster = Roster(
            world.jobs,
            rotation=rotation,
            stores=stores,
            scheduler=self._bell,
            clock=clock,
            sink=sink,
            identity=IDENTITY,
            limits=world.plan.limits,
            ledger=Mortal(world.ledger, life),
        )
        self._watch = Watch(self.roster, clock=clock, sink=sink, holder=IDENTITY.holder)
        self._steady = partial(steady, clock=clock, sink=sink)
        self._tasks: list[asyncio.Task[None]] = []

    async def run(self) -> bool:
        """Live; return whether it ended in order."""
        loop = asyncio.get_running_loop()
        rounds = [self._steady(self._watch.sweep), self._steady(partial(self._watch.drift, DRIFT))]
        serve = loop.create_task(self.roster.serve(self.stop, self.ready.set))
        self._tasks = [serve, *(loop.create_task(one) for one in rounds)]
        await asyncio.wait([serve])
        for task in self._tasks[1:]:
            task.cancel()
        await asyncio.wait(self._tasks)
        self._bell.close()
        if not self.life.dead:
            serve.result()  # what it raised is a bug of ours
        return not self.life.dead

    def unkept(self, name: str) -> str:
        """The refresh token of a job that is in this process's memory alone."""
        charge = self.roster.charges[name]
        return charge.unkept.reveal() if charge.unkept is not None else ""

    def _last_moment(self) -> list[asyncio.Task[None]]:
        self.under_way = {name for name in self.world.single_use if name in self.roster._walks}
        return self._tasks
