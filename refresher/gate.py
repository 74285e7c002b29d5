"""Whether a rotation may begin: the hooks `before` are asked, and may say not now.

Rules of this module:
- It is a fact, not a decision: until when a hook wants no rotation goes into the charge, and `decide` looks at it.
- Only status 75 (EX_TEMPFAIL) says no. A hook that fails, hangs, prints too much or is missing says nothing: a token
  that dies is worse than a rotation that somebody would have put off.
- A rotation waits for its hooks' deadlines at most; one that ran into its own is left alone for a while.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from secrets import token_hex
from typing import Final

from refresher.charge import Charge
from refresher.core import hooks
from refresher.core.errors import RefresherError, TransportError
from refresher.core.events import Event, Level
from refresher.core.hooks import Hook
from refresher.core.job import Job, Program
from refresher.core.policy import Rotate, Verdict
from refresher.ports import Clock, LocalSecrets, Programs, Sink

AGAIN: Final = timedelta(minutes=1)  # after a no
REST: Final = 300.0  # seconds for which one that hung is not asked
NO: Final = "exit_75"


class Gate:
    """Asks the hooks `before` of `known`."""

    def __init__(  # noqa: PLR0913  # what it takes to run a program
        self,
        *,
        known: Callable[[], Mapping[str, Hook]],
        instance: str,
        programs: Programs,
        local: LocalSecrets,
        clock: Clock,
        sink: Sink,
    ) -> None:
        self._known = known
        self._instance = instance
        self._programs, self._local = programs, local
        self._clock, self._sink = clock, sink
        self._failing: dict[str, float] = {}  # and until when (monotonic) it is not asked

    async def ask(self, charge: Charge, reason: str) -> bool:
        """Note in `charge` until when a hook wants no rotation, None where each of them lets it begin.

        Return whether there was one to ask.
        """
        before, asked = charge.vetoed_until, False
        charge.vetoed_until = None
        for hook in tuple(self._known().values()):
            if hook.moment == "before" and hook.program is not None and hook.serves(charge.job):
                if self._clock.monotonic() < self._failing.get(hook.name, 0.0):
                    continue
                asked = True
                if not await self._lets(hook, hook.program, charge.job, reason):
                    charge.vetoed_until = charge.now(self._clock) + AGAIN
                    level: Level = "info" if before is None else "debug"
                    fields = {"hook": hook.name, "reason": reason}
                    self._sink.tell(Event(name="vetoed", level=level, job=charge.job.name, fields=fields))
                    break
        return asked

    async def _lets(self, hook: Hook, program: Program, job: Job, reason: str) -> bool:
        variables = hooks.environment(hook, job, instance=self._instance, event="before")
        told = hooks.question(job, reason, ident=token_hex(16), instance=self._instance, at=self._clock.now())
        try:
            given = {name: self._local.read(reference) for name, reference in program.secrets}
            await self._programs.call(
                replace(program, environment=variables), told, given, hook=hook.name, job=job.name
            )
        except TransportError as error:
            if error.code == NO:
                return False
            self._failed(hook, error.code, error.why)
        except RefresherError as error:
            self._failed(hook, "secret", str(error))
        except Exception as error:  # noqa: BLE001  # a hook must not end a walk
            self._failed(hook, "internal", f"unexpected {type(error).__name__}, a defect")
        else:
            self._failing.pop(hook.name, None)
        return True

    def _failed(self, hook: Hook, error: str, why: str) -> None:
        level: Level = "debug" if hook.name in self._failing else "warning"
        self._failing[hook.name] = self._clock.monotonic() + (REST if error == "deadline" else 0.0)
        fields = {"hook": hook.name, "error": error, "why": f"{why}; rotations go on"}
        self._sink.tell(Event(name="hook_failed", level=level, fields=fields))


async def decided(gate: Gate | None, charge: Charge, decide: Callable[[], Verdict], *, force: bool) -> Verdict:
    """Decide, and decide again once the hooks were asked whether a rotation may begin; by `force` they are asked anew.

    A destination that lacks the token which others have is served without asking: nothing is rotated.
    """
    if force:
        charge.vetoed_until = None
    verdict = decide()
    if gate is None or not isinstance(verdict, Rotate) or verdict.reason == "behind":
        return verdict
    return decide() if await gate.ask(charge, verdict.reason) else verdict
