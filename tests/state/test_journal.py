"""The journal on a real disk: what it keeps, what it makes of a disk that is full or files that are torn."""

import os
import random
import subprocess
import sys

import pytest

from refresher.core.errors import StoreConflictError, StoreRefusedError
from refresher.core.secret import Secret
from refresher.state.journal import SLOT, Journal, usage

KEY = bytes(range(32))
TEXT = Secret('{"refresh_token": "RT-canary"}')


def files(folder) -> list[str]:
    return sorted(path.name.split(".", 2)[2] for path in (folder / "journal-i").iterdir())


async def entered(folder, text=TEXT, job="crm") -> Journal:
    journal = Journal(folder, "i")
    await journal.reserve(job)
    assert await journal.enter(job, text, KEY)
    return journal


async def test_an_entry_outlives_the_process_and_is_kept_as_the_last_pair(tmp_path):
    await entered(tmp_path)
    later = Journal(tmp_path, "i")
    assert later.has("crm")
    assert await later.read("crm", KEY) == TEXT
    await later.keep("crm")
    assert not later.has("crm")
    assert await later.read("crm", KEY, last=True) == TEXT


@pytest.mark.leak("L27")
async def test_a_slot_is_set_apart_before_and_is_private(tmp_path):
    journal = Journal(tmp_path, "i")
    await journal.reserve("crm")
    (file,) = (tmp_path / "journal-i").iterdir()
    facts = file.stat()
    assert facts.st_size == SLOT
    assert facts.st_blocks * 512 >= SLOT, "allocated, not a hole"
    assert (facts.st_mode & 0o777, file.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    assert await Journal(tmp_path, "i").read("crm", KEY) is None, "nothing was entered"
    assert files(tmp_path) == ["next"], "and nothing is wrong with it"
    await journal.release("crm")
    assert files(tmp_path) == []


async def test_the_last_pair_stays_until_the_next_one_is_acknowledged(tmp_path):
    journal = await entered(tmp_path)
    await journal.keep("crm")
    await journal.reserve("crm")
    assert await journal.enter("crm", Secret("newer"), KEY)
    assert await journal.read("crm", KEY, last=True) == TEXT
    await journal.keep("crm")
    assert await journal.read("crm", KEY, last=True) == Secret("newer")


@pytest.mark.leak("L32")
async def test_the_disk_shows_nothing_of_it(tmp_path):
    await entered(tmp_path, Secret("RT-canary" * 20_000))  # longer than what was set apart
    (file,) = (tmp_path / "journal-i").iterdir()
    assert b"RT-canary" not in file.read_bytes()
    assert await Journal(tmp_path, "i").read("crm", KEY) == Secret("RT-canary" * 20_000)


@pytest.mark.parametrize("key", [bytes(32), KEY[::-1]])
async def test_another_key_opens_nothing_and_deletes_nothing(tmp_path, key):
    await entered(tmp_path)
    assert await Journal(tmp_path, "i").read("crm", key) is None
    (name,) = files(tmp_path)
    assert name.startswith("next.aside-")


async def test_a_file_in_anothers_place_opens_nothing(tmp_path):
    journal = await entered(tmp_path)
    journal._path("crm", last=False).rename(journal._path("erp", last=False))
    assert await Journal(tmp_path, "i").read("erp", KEY) is None


@pytest.mark.fault("F57")
@pytest.mark.parametrize("times", [1000, pytest.param(10_000, marks=[pytest.mark.nightly, pytest.mark.timeout(600)])])
async def test_no_flip_of_a_bit_is_taken_for_an_entry(tmp_path, times):
    await entered(tmp_path)
    (file,) = (tmp_path / "journal-i").iterdir()
    content, chance = file.read_bytes(), random.Random(4)  # noqa: S311  # the same each time
    journal, opened = Journal(tmp_path, "i"), 0
    for _ in range(times):
        torn = bytearray(content)
        for _ in range(chance.choice((1, 1, 1, 7))):
            torn[chance.randrange(len(torn))] ^= 1 << chance.randrange(8)
        file.write_bytes(torn[: chance.choice((len(torn), len(torn), chance.randrange(len(torn))))])
        found = await journal.read("crm", KEY)
        assert found is None or found == TEXT, "authentic, or nothing"
        opened += found is not None
        file.unlink(missing_ok=True)
    assert opened < times / 10, "a length that is too great does no harm; all else does"


async def test_a_second_process_sees_that_the_first_one_lives(tmp_path):
    script = (
        "import asyncio, sys; from pathlib import Path; from refresher.state.journal import Journal\n"
        "journal = Journal(Path(sys.argv[1]), 'i'); asyncio.run(journal.reserve('crm'))\n"
        "print('reserved', flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", script, str(tmp_path)]
    other = Journal(tmp_path, "i")
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as first:  # noqa: ASYNC220  # nothing else runs here
        assert first.stdout.readline() == "reserved\n"
        assert other.busy("crm")
        with pytest.raises(StoreConflictError) as caught:
            await other.reserve("crm")
        assert caught.value.code == "busy"
        first.kill()
    assert not other.busy("crm")
    await other.reserve("crm")
    assert not other.busy("crm"), "our own"


@pytest.mark.fault("F55")
async def test_a_directory_that_can_not_be_written_is_told(tmp_path):
    (tmp_path / "journal-i").write_text("in the way")
    with pytest.raises(StoreRefusedError, match="journal-i"):
        await Journal(tmp_path, "i").reserve("crm")


async def test_a_disk_that_fails_after_the_answer_raises_nothing(tmp_path):
    journal = Journal(tmp_path, "i")
    await journal.reserve("crm")
    os.close(journal._slots["crm"])
    journal._slots["crm"] = os.open("/dev/full", os.O_WRONLY)
    assert not await journal.enter("crm", TEXT, KEY)
    await journal.release("crm")


async def test_an_instance_of_several_words_has_a_journal(tmp_path):
    journal = Journal(tmp_path, "eu/blue")
    await journal.reserve("crm")
    assert await journal.enter("crm", TEXT, KEY)
    assert await Journal(tmp_path, "eu/blue").read("crm", KEY) == TEXT
    assert usage(tmp_path, "eu/blue")[0] == 1
