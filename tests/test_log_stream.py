"""A stream that never waits: lines stay whole, wait within limits, and are counted when they are dropped."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import termios
from collections.abc import Iterator
from pathlib import Path

import pytest

from jobqueue.log_stream import WAITING_BYTES, LogStream
from tests.support.paths import ROOT
from tests.support.unread import small_pipe, unread

OTHER_USER = 65534
IMPORTS = "import os, sys; from jobqueue import log_stream\n"
PRINTS = f"{IMPORTS}log_stream.replace_stderr()\n"


@pytest.fixture
def pipe() -> Iterator[tuple[int, LogStream]]:
    """The reading end of a small pipe, and a stream to the other."""
    reads, writes = small_pipe()
    os.set_blocking(reads, False)
    yield reads, LogStream(writes)
    os.close(reads)
    os.close(writes)


def read(fd: int) -> str:
    """Return what can be read now."""
    try:
        return os.read(fd, 2**20).decode()
    except BlockingIOError:
        return ""


def test_lines_that_nobody_reads_are_written_in_order_with_the_next_line(pipe: tuple[int, LogStream]) -> None:
    reads, stream = pipe
    for number in range(1000):
        stream.write(f"line {number}\n")
    text = read(reads)
    stream.write("line 1000\n")
    while piece := read(reads):
        text += piece
        stream.finish(0)
    assert text.splitlines() == [f"line {number}" for number in range(1001)]


def test_lines_beyond_the_limit_are_counted_where_they_are_missing(pipe: tuple[int, LogStream]) -> None:
    reads, stream = pipe
    lines = [f"{number:07} {'x' * 91}" for number in range(2 * WAITING_BYTES // 100)]
    for line in lines:
        stream.write(f"{line}\n")
    text = ""
    while piece := read(reads):
        text += piece
        stream.finish(0)
    *kept, last = text.splitlines()
    assert kept == lines[: len(kept)]
    assert last == f"{len(lines) - len(kept)} lines were dropped"
    stream.write("now\n")
    assert read(reads) == "now\n"


def test_the_descriptor_that_others_share_stays_blocking(pipe: tuple[int, LogStream]) -> None:
    _, stream = pipe
    stream.write("line\n")
    assert os.get_blocking(stream.fileno())


def test_a_part_of_a_line_waits_for_its_end(pipe: tuple[int, LogStream]) -> None:
    reads, stream = pipe
    stream.write("one\ntw")
    assert read(reads) == "one\n"
    stream.write("o\n")
    assert read(reads) == "two\n"


def test_a_child_of_fork_does_not_write_the_lines_of_its_parent(pipe: tuple[int, LogStream]) -> None:
    reads, stream = pipe
    stream.write("x" * 4000 + "\n")
    stream.write("parent" * 100 + "\n")
    read(reads)
    if not (child := os.fork()):
        stream.write("child\n")
        os._exit(0)
    os.waitpid(child, 0)
    assert read(reads) == "child\n"


def test_lines_of_several_processes_are_not_mixed() -> None:
    program = PRINTS + "for n in range(300): print(sys.argv[1] * (n * 31 % 5000 + 1), file=sys.stderr)"
    reads, writes = small_pipe()
    children = [subprocess.Popen([sys.executable, "-c", program, letter], cwd=ROOT, stderr=writes) for letter in "abc"]
    os.close(writes)
    with open(reads) as lines:
        assert [line for line in lines if len(set(line.rstrip("…\n"))) != 1] == []
    assert [child.wait() for child in children] == [0, 0, 0]


def test_a_socket_that_nobody_reads_delays_nothing() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        stream = LogStream(theirs.fileno())
        for _ in range(1000):
            stream.write("x" * 1000 + "\n")
        assert ours.recv(1001).endswith(b"x\n")


def test_a_stopped_terminal_delays_nothing() -> None:
    ours, theirs = os.openpty()
    try:
        termios.tcflow(theirs, termios.TCOOFF)
        stream = LogStream(theirs)
        for _ in range(1000):
            stream.write("x" * 1000 + "\n")
        termios.tcflow(theirs, termios.TCOON)
        stream.finish(0)
        assert os.read(ours, 5) == b"xxxxx"
    finally:
        os.close(ours)
        os.close(theirs)


def test_a_pipe_of_another_user_that_nobody_reads_delays_nothing(tmp_path: Path) -> None:
    """It cannot be opened anew. (Who is not root tests another path of the code: the pipe is its own.)"""
    change_user = f"os.geteuid() or os.setuid({OTHER_USER})\n"
    program = (
        f"{IMPORTS}{change_user}log_stream.replace_stderr()\nfor _ in range(500): print('x' * 100, file=sys.stderr)"
    )
    with unread(["-c", program], {"PYTHONPATH": str(ROOT)}) as writer:
        assert writer.process.wait(60) == 0
        assert {*writer.read_to_the_end()} == {"x" * 100}


def test_a_shared_file_is_written_where_the_others_write(tmp_path: Path) -> None:
    with (tmp_path / "log").open("wb") as file:
        for _ in range(2):
            subprocess.run(
                [sys.executable, "-c", PRINTS + "print(1, file=sys.stderr)"], cwd=ROOT, stderr=file, check=True
            )
    assert (tmp_path / "log").read_text() == "1\n1\n"
