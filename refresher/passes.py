"""One pass over jobs: what is due is walked once, and that is the end."""

import asyncio
from collections.abc import Callable, Collection

from refresher.core import policy
from refresher.core.outcome import Outcome
from refresher.roster import Roster


class Pass(Roster):
    """A roster that can be walked once. Call `once` at most once, and not beside `serve`."""

    async def once(
        self, names: Collection[str], *, force: bool, progress: Callable[[Outcome], None] = lambda _: None
    ) -> list[Outcome]:
        """Walk what is due of `names`, all by `force`; return how each that was begun ended, as `progress` hears it.

        Where `progress` raises, it hears no more, and that is raised once the pass has ended: a walk between request
        and answer would lose what was issued.
        """
        told: dict[str, Outcome] = {}
        deaf: list[Exception] = []

        def say(name: str) -> None:
            last = self.charges[name].last
            if last is not None and name not in told:
                told[name] = last
                if deaf:
                    return
                try:
                    progress(last)
                except Exception as error:  # noqa: BLE001  # raised below
                    deaf.append(error)

        async with asyncio.TaskGroup() as self._walks.group:
            await self.look_all(names)
            self.heard = lambda name: None if self.charges[name].pending or self.charges[name].awaits else say(name)
            for name in () if self._walks.stopping else names:
                self._begin_in_pass(name, force=force)
            await self._walks.all_done()
            await self._walk_what_awaited(names, force=force)
            rest = () if self._walks.stopping else names
            await self._walks.finish(self.charges.values())
        for name in rest:
            say(name)
        if deaf:
            raise deaf[0]
        return [told[name] for name in names if name in told]

    def end_pass(self) -> None:
        """Begin nothing more of a pass: what is under way comes to its end, and the rest is as it was."""
        self._walks.stop()

    async def _walk_what_awaited(self, names: Collection[str], *, force: bool) -> None:
        """Walk again what awaits another job's token, as long as that brings some job of the pass further."""
        awaiting, before = {name for name in names if self.charges[name].awaits}, set(names)
        while awaiting < before:
            for name in awaiting:
                self.charges[name].retry_now()
                self.offer(name, force=force)
            await self._walks.all_done()
            awaiting, before = {name for name in awaiting if self.charges[name].awaits}, awaiting

    def _begin_in_pass(self, name: str, *, force: bool) -> None:
        """Queue `name` where there is something to do; nobody waits in a pass for a Vault that is away."""
        charge = self.charges[name]
        unseen = charge.held is None and charge.last is None  # Vault went away before its turn came
        mended = charge.latch is not None  # perhaps: the walk finds out, and opens the latch
        due = isinstance(self._verdict(charge, charge.now(self._clock)), policy.Rotate)
        if unseen or (charge.held is not None and (force or mended or due)):
            self.begin(name, force=force)
        if name not in self._walks:
            self.heard(name)
