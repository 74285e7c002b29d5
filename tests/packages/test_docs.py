"""Every command that a guide shows is one that the program takes: the verb is there, and so is each of its options."""

import re
import shlex
from pathlib import Path

import pytest

from packages.surface import verbs

DOCS = Path(__file__).parents[2] / "docs"
TAKEN = {verb.name: {name for word in verb.options for name in word.names} for verb in verbs()}
BLOCK = re.compile(r"^```sh\n(.*?)^```", re.DOTALL | re.MULTILINE)
CALL = re.compile(r"(?:^|[|(] *|sudo )refresher +((?!VERB)[a-z].*)")
CALLS = [
    pytest.param(call, id=f"{page.stem}: {call}"[:90])
    for page in sorted(DOCS.rglob("*.md"))
    for block in BLOCK.findall(page.read_text("utf-8"))
    for line in block.splitlines()
    for call in CALL.findall(line.partition("  #")[0].strip())
]


@pytest.mark.parametrize("call", CALLS)
def test_a_command_in_a_guide_is_one_that_the_program_takes(call):
    verb, *words = shlex.split(re.split(r"[|>;)&]", call)[0])
    assert verb in TAKEN
    options = {word.partition("=")[0] for word in words if word.startswith("-") and word != "-"}
    assert options <= TAKEN[verb]


def test_there_are_such_commands():
    shown = {call.split()[0] for param in CALLS for call in param.values}
    assert shown >= {"rotate", "pause", "resume", "put", "release", "status", "check"}
