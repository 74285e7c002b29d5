"""SIGKILL, as far as fakes can tell: from one outward step to the next the process is gone, and what it left stays."""

import asyncio
import inspect
from collections.abc import Callable, Iterable


class Life:
    """One process. `left`: steps to live, each call of a port being two (there and back); below zero: for ever.

    `tasks` returns those of the process: they are cancelled at its death.
    """

    def __init__(self, tasks: Callable[[], Iterable[asyncio.Task]]) -> None:
        self.dead = False
        self.left = -1
        self._tasks = tasks

    def step(self) -> None:
        """Live one step further; whoever is dead goes no further, and no cleaning up of his reaches the world."""
        self.left -= 1
        if self.left == 0:
            self.end()
        if self.dead:
            raise asyncio.CancelledError

    def end(self) -> None:
        """Be killed."""
        self.dead = True
        for task in self._tasks():
            task.cancel()


class Mortal:
    """A port as one process has it: of no use once that is dead."""

    def __init__(self, port: object, life: Life) -> None:
        self._port, self._life = port, life

    def __getattr__(self, name):
        found = getattr(self._port, name)
        if not callable(found):
            return found
        deed = self._slow(found) if inspect.iscoroutinefunction(found) else self._quick(found)
        setattr(self, name, deed)  # found at once from now on
        return deed

    def _quick(self, deed):
        return lambda *words, **more: None if self._life.dead else deed(*words, **more)

    def _slow(self, deed):
        async def around(*words, **more):
            self._life.step()
            done = await deed(*words, **more)
            self._life.step()
            return done

        return around
