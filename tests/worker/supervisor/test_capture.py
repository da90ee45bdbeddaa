"""An output is heard in bounded memory: both ends of it are kept, and the latest part is told meanwhile."""

from __future__ import annotations

import json
import os
import random
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from jobqueue.output import HALF_BYTES, LIVE_BYTES, OUTPUT_LIMIT_BYTES, cut, missing_line
from jobqueue.worker.supervisor.capture import PIECE_BYTES, Live, Stream
from jobqueue.worker.supervisor.output_file import Outputs


@contextmanager
def stream() -> Iterator[tuple[Stream, int]]:
    """A stream, and the end of the pipe to write into."""
    reading, writing = os.pipe()
    with open(reading, "rb", buffering=0) as pipe, open(writing, "wb", buffering=0):
        yield Stream(pipe), writing


def kept_of(content: bytes) -> tuple[str, bool, int]:
    """Return what a stream keeps of what is written, whether some is missing, and how much came."""
    with stream() as (heard, writing):
        for first in range(0, len(content), 65_536):
            os.write(writing, content[first : first + 65_536])
            assert heard.read()
        return *heard.kept(), heard.total_bytes


def test_an_output_of_a_megabyte_is_kept_whole() -> None:
    content = b"0123456789abcdef" * (OUTPUT_LIMIT_BYTES // 16)
    assert kept_of(content) == (content.decode(), False, OUTPUT_LIMIT_BYTES)


@pytest.mark.parametrize("more", [1, 70_000, 5_000_000])
def test_of_a_longer_one_both_ends_are_kept_and_the_line_between_says_how_much_is_missing(more: int) -> None:
    content = b"begin" + b"x" * (OUTPUT_LIMIT_BYTES + more - 8) + b"end"
    text, truncated, total = kept_of(content)
    assert (truncated, total) == (True, len(content))
    assert text == content[:HALF_BYTES].decode() + missing_line(total - 2 * HALF_BYTES) + content[-HALF_BYTES:].decode()


def test_what_is_kept_is_never_cut_again_by_the_server() -> None:
    for content in (b"x" * 3_000_000, b"\xff" * 3_000_000, b"\0" * 3_000_000, "€".encode() * 1_000_000):
        text = kept_of(content)[0]
        assert cut(text) == text


def test_any_bytes_become_text_that_json_takes_and_that_fits() -> None:
    randomness = random.Random(1)
    for size in [0, 1, 2, 3, 4, 5, *(randomness.randrange(5000) for _ in range(100)), 400_000, 1_000_000, 1_500_000]:
        text, _, total = kept_of(randomness.randbytes(size))
        assert json.loads(json.dumps(text)) == text
        assert len(text.encode()) <= OUTPUT_LIMIT_BYTES
        assert total == size


def test_bytes_that_are_no_text_are_counted_as_bytes() -> None:
    text, truncated, _ = kept_of(b"\xff" * 900_000)
    head, line, tail = text.split("\n")[0], text.split("\n")[1], text.split("\n")[2]
    assert truncated
    assert set(head) == set(tail) == {"�"}
    assert f"{900_000 - len(head) - len(tail)} bytes" in line
    assert len(head.encode()) > HALF_BYTES * 0.99


@pytest.mark.parametrize("shift", range(8))
def test_a_cut_leaves_no_half_character(shift: int) -> None:
    content = b"x" * shift + "a€🎉é".encode() * 200_000
    text, truncated, total = kept_of(content)
    assert truncated
    assert "�" not in text
    head, line, tail = text.partition("\n[")[0], text.split("\n")[1], text.rpartition("]\n")[2]
    assert content.startswith(head.encode())
    assert content.endswith(tail.encode())
    assert f"{total - len(head.encode()) - len(tail.encode())} bytes" in line


def test_the_latest_output_is_told_once_and_in_order() -> None:
    with stream() as (heard, writing):
        assert heard.take_live() is None
        os.write(writing, b"one\n")
        heard.read()
        assert heard.take_live() == (0, "one\n")
        assert heard.take_live() is None
        os.write(writing, "zwölf".encode())
        heard.read()
        assert heard.take_live() == (4, "zwölf")


def test_half_a_character_waits_for_the_rest() -> None:
    live = Live()
    live.add("a€".encode()[:2])
    assert live.take() == (0, "a")
    assert live.take() is None
    live.add("a€".encode()[2:] + b"b")
    assert live.take() == (1, "€b")
    live.add(b"c")
    assert live.take() == (5, "c")


def test_what_comes_faster_than_it_is_told_is_skipped() -> None:
    live = Live()
    live.add(b"x" * 100)
    for _ in range(10):
        live.add(b"y" * LIVE_BYTES)
    live.add(b"end")
    pieces = list(iter(live.take, None))
    text = "".join(text for _, text in pieces)
    assert pieces[0][0] == 100 + 10 * LIVE_BYTES + 3 - LIVE_BYTES
    assert (len(text), text[-3:]) == (LIVE_BYTES, "end")


def test_the_latest_output_is_told_in_pieces_that_go_on_where_the_one_before_ended() -> None:
    live, told = Live(), ("a" + "€🎉é" * 20_000).encode() + b"\xff"
    live.add(told)
    heard, largest = "", 0
    for offset, text in iter(live.take, None):
        assert offset == len(heard.encode())
        heard += text
        largest = max(largest, len(text.encode()))
    assert heard == told.decode(errors="replace")
    assert 0 < largest <= PIECE_BYTES


def test_outputs_written_down_are_read_back_exactly() -> None:
    texts = {"stdout": 'a"\\\n\0\u2028€🎉' * 30_000, "stderr": ""}
    outputs = Outputs.write(texts)
    assert outputs.read() == texts
    outputs.close()
    outputs.close()
