"""A hook `before` may put a rotation off, and nothing else of it may."""

from datetime import timedelta

import pytest

from refresher.core.errors import TransportError
from refresher.core.hooks import Hook
from refresher.core.job import Program
from refresher.core.model import Reference
from refresher.gate import Gate
from refresher.standing import state_of
from tests.rotation.stage import Stage, refreshing, replaceable, token
from tests.sinks.test_hooks import Local

ASKED = Hook(name="asked", moment="before", program=Program(argv=("/bin/may", "it")))
NO = TransportError("exit_75", "the program ended with status 75", sent=True)


class Scene(Stage):
    """A stage with a gate. `says` is what the programs come to, in order; the last one for ever."""

    def __init__(self, *steps, says=(None,), hooks=(ASKED,), job=None) -> None:
        super().__init__(*steps, job=job)
        self.says, self.calls = list(says), []
        self.rotation._gate = Gate(
            known=lambda: {hook.name: hook for hook in hooks},
            instance="default",
            programs=self,
            local=Local(),
            clock=self.clock,
            sink=self.sink,
        )

    async def call(self, program, told, given, **of):
        self.calls.append((program, told, given, of))
        said = self.says.pop(0) if len(self.says) > 1 else self.says[0]
        if isinstance(said, Exception):
            raise said


async def test_it_is_asked_before_anything_is_and_lets_it_begin():
    scene = Scene(token())
    assert (await scene.rotate()).outcome == "rotated"
    ((program, told, _, of),) = scene.calls
    assert dict(program.environment)["REFRESHER_EVENT"] == "before"
    assert dict(program.environment)["REFRESHER_PATHS"] == "secret/tokens/crm"
    assert (told["type"], told["subject"]) == ("refresher.before", "crm")
    assert told["data"] == {"event": "before", "job": "crm", "provider": "oauth2", "reason": "missing"}
    assert of == {"hook": "asked", "job": "crm"}


async def test_where_it_says_no_nothing_is_asked_of_the_provider_and_it_is_asked_again_after_a_minute():
    scene = Scene(token(), says=[NO, NO, None])
    ended = await scene.rotate()
    assert (ended.outcome, ended.reason, ended.error) == ("halted", "vetoed", "vetoed")
    assert ended.renew_at == scene.clock.now() + timedelta(minutes=1)
    assert state_of(scene.charge, scene.clock.now(), "h") == "due"
    assert (await scene.later(seconds=59)).reason == "vetoed"
    assert len(scene.calls) == 1, "a minute is a minute"
    assert (await scene.later(seconds=1)).reason == "vetoed"
    assert (await scene.later(seconds=60)).outcome == "rotated"
    assert [(one.level, one.fields["hook"]) for one in scene.sink.named("vetoed")] == [
        ("info", "asked"),
        ("debug", "asked"),
    ]
    assert len(scene.calls) == 3


async def test_whoever_forces_it_has_the_hook_asked_at_once():
    scene = Scene(token(), says=[NO, NO, None])
    await scene.rotate()
    assert (await scene.rotate(force=True)).reason == "vetoed"
    assert (await scene.rotate(force=True)).outcome == "rotated"


async def test_nothing_is_spent_where_it_says_no():
    scene = Scene(token(refresh_token="RT-1"), job=refreshing(), says=[NO])
    await scene.rotate()
    assert scene.sent() == []
    assert not [deed for deed in scene.deeds() if deed.startswith("write")]


@pytest.mark.parametrize(
    "said",
    [
        TransportError("exit_1", "the program ended with status 1", sent=True),
        TransportError("signal_9", "the program was ended by signal 9", sent=True),
        TransportError("flooded", "the program printed too much", sent=True),
        TransportError("not_started", "there is no such program", sent=False),
        RuntimeError("s3cret"),
    ],
)
async def test_one_that_fails_says_nothing(said):
    scene = Scene(token(), says=[said])
    assert (await scene.rotate()).outcome == "rotated"
    (told,) = scene.sink.named("hook_failed")
    assert told.level == "warning"
    assert told.fields["why"].endswith("; rotations go on")
    assert "s3cret" not in scene.sink.text()


async def test_one_that_hangs_is_left_alone_for_a_while():
    late = TransportError("deadline", "the program took longer than 5 s", sent=True)
    scene = Scene(*(token(number) for number in range(5)), says=[late, None])
    for _ in range(3):
        assert (await scene.rotate(force=True)).outcome == "rotated"
    assert len(scene.calls) == 1
    await scene.clock.advance(timedelta(minutes=5))
    assert (await scene.rotate(force=True)).outcome == "rotated"
    assert len(scene.calls) == 2


async def test_a_secret_that_is_missing_keeps_no_token_from_anybody():
    program = Program(argv=("/x",), secrets=(("a", Reference(kind="env", target="NONE")),))
    scene = Scene(token(), hooks=(Hook(name="asked", moment="before", program=program),))
    assert (await scene.rotate()).outcome == "rotated"
    assert scene.sink.named("hook_failed")[0].fields["error"] == "secret"
    assert scene.calls == []


async def test_only_those_that_the_job_names_are_asked():
    scene = Scene(token(), job=replaceable(hooks=("other",)), says=[NO])
    assert (await scene.rotate()).outcome == "rotated"
    assert scene.calls == []
