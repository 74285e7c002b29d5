"""A daemon with few descriptors and little memory, and what it has grown by after many rotations and failures."""

import asyncio
import json
import os
import random
import resource
import signal
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.e2e.crowd import Crowd, enrol
from tests.failpoints.lives import Daemon, Yard, side_by_side, yard

pytestmark = pytest.mark.e2e
COUNTED = str(Path(__file__).with_name("counted.py"))
FILES = 64
USUAL = ("started", "rotated", "recovered", "stopped")
MEMORY = 128 * 2**20  # bytes
LIFE = 5  # seconds: asked for again after two


def confined(file: Path, files: int) -> tuple[str, ...]:
    """Return the program that is refresher with so many descriptors, and counts them in `file`."""
    return ("sh", "-c", f'ulimit -n {files}; exec "$@"', "sh", sys.executable, COUNTED, str(file))


def usage(file: Path, *, open_at_most: int = FILES) -> dict[str, int]:
    """Return what the process has, as soon as no more descriptors than that are open; connections end by themselves."""
    ends = time.monotonic() + 10
    while (found := json.loads(file.read_text()))["fds"] > open_at_most and time.monotonic() < ends:
        time.sleep(0.05)
    return found


@pytest.mark.timeout(1500)
@pytest.mark.fault("F58", "F60")
@pytest.mark.parametrize(
    ("jobs", "rotations", "failures"), [(150, 300, 300), pytest.param(1500, 40_000, 10_000, marks=pytest.mark.nightly)]
)
def test_no_descriptor_thread_or_memory_is_left(site, measured, jobs, rotations, failures):
    gone = False
    crowd = Crowd(lambda _client: None if gone else (LIFE if jobs < 1000 else 30), hosts=4)
    file = site.folder / "usage"
    with crowd.serving():
        enrol(site, crowd, [f"job-{number:04}" for number in range(jobs)])
        with site.daemon(*confined(file, FILES)) as daemon:

            def rotated(count: int) -> int:
                crowd.wait(lambda: len(daemon.lines("rotated")) >= count, f"{count} rotations", within=1200)
                return len(daemon.lines("rotated"))

            began = rotated(jobs * 3 // 2)
            first = usage(file)
            done = rotated(began + rotations)
            rotating = usage(file, open_at_most=first["fds"] + 2)
            gone, asked = True, len(crowd.asked)
            crowd.wait(lambda: len(crowd.asked) - asked >= failures, "so many failures", within=600)
            gone, failed = False, len(crowd.asked) - asked
            asked = len(crowd.asked)
            crowd.wait(lambda: len(crowd.counts(asked)) == jobs, "each is back", within=400)
            last = usage(file, open_at_most=first["fds"] + 2)
            assert daemon.stop() == 0
    measured(f"at most {FILES} descriptors: {first}, after {done} rotations {rotating}, and {failed} failures {last}")
    assert not [line for line in daemon.lines(level="error") if line.get("error") not in ("transport", None)]
    for one in (rotating, last):
        assert one["fds"] <= first["fds"] + 2
        assert one["threads"] <= first["threads"]
        assert one["rss_kb"] <= 1.1 * first["rss_kb"]
    site.jobs = dict(list(site.jobs.items())[:3])


@pytest.mark.fault("F58")
def test_too_few_descriptors_for_its_limits_are_told_at_the_start(site):
    site.tables["limits"] = {"total": 100}
    with Crowd().serving() as crowd:
        enrol(site, crowd, ["api"])
    with site.daemon(*confined(site.folder / "usage", FILES)) as daemon:
        warning = daemon.wait_for("started", level="warning")["warning"]
        assert daemon.stop() == 0
    assert warning == (
        "100 requests at once may need 264 open files, and 64 are allowed: raise LimitNOFILE= of the service"
        " (ulimit -n), or lower [limits] total"
    )


@pytest.fixture
def group() -> Iterator[tuple[Path, Path]]:
    """A control group of at most MEMORY bytes, swap included: the file that its processes are put in, and the peak."""
    name = f"refresher-test-{os.getpid()}"
    old, new = Path("/sys/fs/cgroup/memory") / name, Path("/sys/fs/cgroup") / name
    folder, most, peak = (
        (old, "memory.limit_in_bytes", "memory.max_usage_in_bytes")
        if old.parent.is_dir()
        else (new, "memory.max", "memory.peak")
    )
    try:
        folder.mkdir()
        (folder / most).write_text(str(MEMORY))
    except OSError as error:
        pytest.skip(f"no control group for memory here: {error}")
    yield folder / "cgroup.procs", folder / peak
    folder.rmdir()


@pytest.mark.host
@pytest.mark.timeout(300)
@pytest.mark.fault("F59")
def test_128_mb_are_enough(site, group, measured):
    """The kernel ends what takes more."""
    procs, peak = group
    jobs, rotations = 300, 900
    crowd = Crowd(lambda _client: 10, hosts=4)
    within = ("sh", "-c", 'echo $$ >"$0" && exec "$@"', str(procs), sys.executable, "-m", "refresher")
    with crowd.serving():
        enrol(site, crowd, [f"job-{number:03}" for number in range(jobs)])
        with site.daemon(*within) as daemon:
            crowd.wait(lambda: len(daemon.lines("rotated")) >= rotations, f"{rotations} rotations", within=200)
            assert str(daemon.process.pid) in procs.read_text().split()
            most = int(peak.read_text())
            assert daemon.stop() == 0
    measured(f"at most {MEMORY >> 20} MB: {jobs} jobs, {rotations} rotations, {most / 2**20:.1f} MB at the peak")
    assert not daemon.lines(level="error")
    site.jobs = dict(list(site.jobs.items())[:3])


def vm_size(pid: int) -> int:
    """Return the bytes of address space that a process has taken."""
    return int(Path(f"/proc/{pid}/status").read_text().partition("VmSize:")[2].split()[0]) * 1024


async def live_without_memory(
    place: Yard, squeezes: int, chance: random.Random
) -> tuple[Daemon, list[str], list[float]]:
    """Start a daemon with so little memory that allocations fail; kill it, and have the next one heal."""
    daemon, healed, wrongs = place.daemon(), [], []
    for _ in range(squeezes):
        life = await daemon.start()
        room = chance.choice((8, 24, 48, 96)) << 20
        resource.prlimit(life.pid, resource.RLIMIT_AS, (vm_size(life.pid) + chance.randrange(room), -1))
        await asyncio.wait([life.ended], timeout=chance.uniform(2, 6))
        await life.end(signal.SIGKILL)
        life = await daemon.start()
        began = time.monotonic()
        found = await life.event("rotated", within=60)
        healed.append(time.monotonic() - began)
        wrongs += [] if found else ["not healed by a restart"]
        if (code := await life.end(signal.SIGTERM)) != 0:
            wrongs.append(f"exit code {code}")
    return daemon, wrongs + await daemon.wrongs(), healed


@pytest.mark.timeout(1800)
@pytest.mark.fault("F59")
@pytest.mark.parametrize("squeezes", [1, pytest.param(20, marks=pytest.mark.nightly)])
async def test_memory_that_is_not_there(openbao, tmp_path, measured, squeezes):
    chance = random.Random(9)  # noqa: S311  # one story each time
    async with yard(tmp_path, openbao, ttl=6, delay=0.1) as place:
        lives = [partial(live_without_memory, place, squeezes, random.Random(chance.random())) for _ in range(12)]  # noqa: S311  # as above
        told = await side_by_side(lives, at_once=12)
    squeezed = [life for daemon, _, _ in told for life in daemon.lives[::2]]
    ended = sum(life.ended.result() != -signal.SIGKILL for life in squeezed)
    troubled = sum(any(one["event"] not in USUAL for one in life.events()) for life in squeezed)
    healed = [span for _, _, spans in told for span in spans]
    measured(
        f"{len(squeezed)} lives with too little memory: {ended} ended, {troubled} told of it; healed by the next one"
        f" within {max(healed):.1f} s, {place.provider.granted} rotations"
    )
    wrong = [f"{daemon.name}: {'; '.join(wrongs)}" for daemon, wrongs, _ in told if wrongs]
    assert not wrong, "\n" + "\n".join(wrong)
    assert ended + troubled >= len(squeezed) / 10
    assert max(healed) <= 10
