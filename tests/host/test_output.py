"""The way out of the log under every fault of a stream: nobody is made to wait, and what was lost is told."""

import fcntl
import io
import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TextIO

import pytest

from refresher.host import output
from refresher.host.output import Output


def lost(count: int) -> str:
    return json.dumps({"lost": count}) + "\n"


def numbered(count: int, size: int = 100, start: int = 0) -> list[str]:
    return [json.dumps({"n": n, "pad": "x" * size}) + "\n" for n in range(start, start + count)]


def told(text: str | bytes) -> tuple[list[int], list[int]]:
    """Return the numbers that came through and the counts of lost ones; torn lines are left out."""
    lines = []
    for line in text.splitlines():
        try:
            lines.append(json.loads(line))
        except ValueError:
            continue
    return [one["n"] for one in lines if "n" in one], [one["lost"] for one in lines if "lost" in one]


class Pipe:
    """A pipe whose reader reads when the test says so."""

    def __init__(self) -> None:
        self.reader, writer = os.pipe()
        os.set_blocking(self.reader, False)
        self.stream: TextIO = os.fdopen(writer, "w")

    def read(self) -> bytes:
        read = b""
        while True:
            try:
                some = os.read(self.reader, 1 << 20)
            except BlockingIOError:
                return read
            if not some:
                return read
            read += some


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    pipe = Pipe()
    yield pipe
    pipe.stream.close()
    os.close(pipe.reader)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[tuple[TextIO, Path]]:
    """A full disk, and the file that it becomes once there is space again (`mend`)."""
    with open("/dev/full", "w", encoding="utf-8") as stream:  # noqa: PTH123  # a device, opened as a stream
        yield stream, tmp_path / "log"


def mend(stream: TextIO, file: Path) -> None:
    with file.open("wb") as good:
        os.dup2(good.fileno(), stream.fileno())


def test_lines_arrive_in_order(pipe: Pipe) -> None:
    out = Output(pipe.stream, lost)
    lines = numbered(300)
    for line in lines:
        out.put(line)
    assert out.flush(10)
    assert pipe.read() == "".join(lines).encode()
    assert out.dropped == 0
    out.close()


@pytest.mark.fault("F55")
def test_a_full_disk_is_counted_and_told_once_there_is_space(
    disk: tuple[TextIO, Path], measured: Callable[[str], None]
) -> None:
    stream, file = disk
    out = Output(stream, lost)
    for line in numbered(7):
        out.put(line)
    assert out.flush(10)
    assert out.dropped == 7
    measured(f"a full disk: {out.dropped} of 7 lines dropped, and told once there was space")
    mend(stream, file)
    for line in numbered(2, start=7):
        out.put(line)
    assert out.flush(10)
    assert told(file.read_text()) == ([7, 8], [7])
    out.close()


@pytest.mark.fault("F56")
def test_a_reader_that_went_away_is_no_ones_error(pipe: Pipe) -> None:
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, pipe.reader)  # the read end is closed: EPIPE from now on
    os.close(null)
    out = Output(pipe.stream, lost)
    out.put(numbered(1)[0])
    assert out.flush(10)
    assert out.dropped == 1
    out.close()


@pytest.mark.fault("F56")
def test_a_stalled_reader_holds_up_nobody_and_the_count_is_right(pipe: Pipe, measured: Callable[[str], None]) -> None:
    out = Output(pipe.stream, lost)
    total = output.QUEUE_LIMIT + 3000
    began = time.monotonic()
    for line in numbered(total):
        out.put(line)
    took = time.monotonic() - began
    assert took < 5
    assert not out.flush(0.05)
    dropped = out.dropped
    assert dropped > 0

    os.set_blocking(pipe.reader, True)
    texts: list[bytes] = []
    drain = threading.Thread(target=lambda: texts.extend(iter(lambda: os.read(pipe.reader, 1 << 20), b"")))
    drain.start()
    assert out.flush(10)
    out.put(numbered(1, start=total)[0])
    assert out.flush(10)
    out.close()
    pipe.stream.close()
    drain.join(10)
    came, counts = told(b"".join(texts))
    measured(f"a stalled reader: {total} lines put in {took:.2f} s, {len(came)} came, {sum(counts)} told as dropped")
    assert sum(counts) == dropped == out.dropped
    assert len(came) == total + 1 - dropped
    assert came == sorted(came)


def test_a_torn_line_spoils_no_other(pipe: Pipe, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(output, "STALL", 1)
    fcntl.fcntl(pipe.stream, fcntl.F_SETPIPE_SZ, 4096)
    os.set_blocking(pipe.stream.fileno(), False)  # somebody else's doing, on a shared description
    out = Output(pipe.stream, lost)
    for line in numbered(10, size=6000):  # each of them alone is more than the pipe takes
        out.put(line)
    assert out.flush(10)
    first = pipe.read()
    assert not first.endswith(b"\n")
    out.put(numbered(1, start=10)[0])
    assert out.flush(10)
    came, counts = told(first + pipe.read())
    assert came[-1] == 10
    assert counts == [10 + 1 - len(came)] == [out.dropped]
    out.close()


def test_a_full_pipe_that_does_not_block_is_waited_for(pipe: Pipe, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(output, "STALL", 60_000)  # ms: this reader may be slow, but it reads
    fcntl.fcntl(pipe.stream, fcntl.F_SETPIPE_SZ, 4096)
    os.set_blocking(pipe.stream.fileno(), False)
    out = Output(pipe.stream, lost)
    lines = numbered(20, size=1500)
    for line in lines:
        out.put(line)
    read = b""
    while not out.flush(0.001):
        read += pipe.read()
    assert read + pipe.read() == "".join(lines).encode()
    assert out.dropped == 0
    out.close()


def test_memory_is_written_at_once() -> None:
    memory = io.StringIO()
    Output(memory, lost).put("line\n")
    assert memory.getvalue() == "line\n"


def test_a_closed_stream_is_no_ones_error() -> None:
    memory = io.StringIO()
    out = Output(memory, lost)
    memory.close()
    out.put("line\n")
    assert out.dropped == 1


def test_what_the_stream_cannot_encode_is_escaped(tmp_path: Path) -> None:
    with (tmp_path / "log").open("w", encoding="ascii") as stream:
        out = Output(stream, lost)
        out.put("Müller\n")
        assert out.flush(10)
        out.close()
    assert (tmp_path / "log").read_bytes() == b"M\\xfcller\n"


def test_closing_writes_what_waits_and_ends_the_thread(pipe: Pipe) -> None:
    out = Output(pipe.stream, lost)
    assert out._thread.is_alive()
    out.put("last\n")
    out.close()
    out._thread.join(20)  # it ends by itself; to end waits a second for it at most
    assert not out._thread.is_alive()
    assert pipe.read() == b"last\n"
