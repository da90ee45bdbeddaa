"""An output is read in bounded memory: its beginning and its end are kept, and its latest part is shown."""

from __future__ import annotations

import json
import os
import random
import re
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest

from jobqueue.output import HALF_BYTES, LIVE_BYTES, OUTPUT_LIMIT_BYTES, cut, missing_line
from jobqueue.worker.supervisor.capture import PIECE_BYTES, Capture
from jobqueue.worker.supervisor.messages import Outcome, decode, encode
from jobqueue.worker.supervisor.output_file import Outputs


@dataclass
class Written:
    """A capture, and the end of its pipe to write into."""

    capture: Capture
    writing: int

    def write(self, content: bytes) -> None:
        """Write bytes, and let the capture read them."""
        for first in range(0, len(content), 65_536):
            os.write(self.writing, content[first : first + 65_536])
            assert self.capture.read()

    def live(self) -> list[tuple[int, str]]:
        """Return all pieces of new output."""
        return list(iter(self.capture.take_live, None))


@contextmanager
def written() -> Iterator[Written]:
    reading, writing = os.pipe()
    with open(reading, "rb", buffering=0) as pipe, open(writing, "wb", buffering=0):
        yield Written(Capture(pipe), writing)


def kept_of(content: bytes) -> tuple[str, bool, int]:
    """Return what is kept of an output, whether a part of it is missing, and how long it was."""
    with written() as output:
        output.write(content)
        return *output.capture.kept(), output.capture.total_bytes


def test_an_output_of_a_megabyte_is_kept_whole() -> None:
    content = b"0123456789abcdef" * (OUTPUT_LIMIT_BYTES // 16)
    assert kept_of(content) == (content.decode(), False, OUTPUT_LIMIT_BYTES)


@pytest.mark.parametrize("more", [1, 70_000, 5_000_000])
def test_a_longer_output_keeps_both_ends_and_a_line_that_says_how_much_is_missing(more: int) -> None:
    size = OUTPUT_LIMIT_BYTES + more
    content = b"".join(b"%07d\n" % number for number in range(size // 8 + 1))[:size]  # no two parts are the same
    text, truncated, total = kept_of(content)
    assert (truncated, total) == (True, len(content))
    assert text == content[:HALF_BYTES].decode() + missing_line(total - 2 * HALF_BYTES) + content[-HALF_BYTES:].decode()


def test_a_kept_output_is_never_cut_again_by_the_server() -> None:
    for content in (b"x" * 3_000_000, b"\xff" * 3_000_000, b"\0" * 3_000_000, "€".encode() * 1_000_000):
        text = kept_of(content)[0]
        assert cut(text) == text


def test_any_bytes_become_text_that_fits_into_json_and_the_limit() -> None:
    randomness = random.Random(1)
    for size in [0, 1, 2, 3, 4, 5, *(randomness.randrange(5000) for _ in range(100)), 400_000, 1_000_000, 1_500_000]:
        text, _, total = kept_of(randomness.randbytes(size))
        assert json.loads(json.dumps(text)) == text
        assert len(text.encode()) <= OUTPUT_LIMIT_BYTES
        assert total == size


def test_omitted_bytes_that_are_not_utf_8_are_counted_as_bytes() -> None:
    text, truncated, _ = kept_of(b"\xff" * 900_000)
    head, line, tail = text.split("\n")[0], text.split("\n")[1], text.split("\n")[2]
    assert truncated
    assert set(head) == set(tail) == {"�"}
    assert f"{900_000 - len(head) - len(tail)} bytes" in line
    assert len(head.encode()) > HALF_BYTES * 0.99


@pytest.mark.parametrize("shift", range(8))
def test_a_cut_leaves_no_half_character(shift: int) -> None:
    content = b"x" * shift + "a€🎉é".encode() * 200_000 + b"x" * shift
    text, truncated, total = kept_of(content)
    assert truncated
    assert "�" not in text
    head, line, tail = text.partition("\n[")[0], text.split("\n")[1], text.rpartition("]\n")[2]
    assert content.startswith(head.encode())
    assert content.endswith(tail.encode())
    assert len(text.encode()) > OUTPUT_LIMIT_BYTES - 100
    assert f"{total - len(head.encode()) - len(tail.encode())} bytes" in line


def test_a_few_stray_bytes_cost_only_a_few_bytes_of_a_long_text() -> None:
    content = bytearray(b"x" * 3_000_000)
    content[1000:500_000:10_000] = b"\xff" * 50
    content[-1000:-500_000:-10_000] = b"\xff" * 50
    text, truncated, _ = kept_of(bytes(content))
    assert truncated
    assert text.count("�") == 100
    assert 2 * HALF_BYTES - 400 < len(text.encode()) <= OUTPUT_LIMIT_BYTES


@pytest.mark.parametrize("size", [350_000, 400_000, 600_000, 700_000, 1_000_000, 1_048_576, 1_300_000])
@pytest.mark.parametrize("noise", [b"\xff", b"\x80", b"\xe2\x82", b"\xf0\x9f\x98", b"\xffx"])
def test_the_kept_ends_of_binary_output_do_not_overlap(size: int, noise: bytes) -> None:
    """The text of a binary output may exceed the limit although its bytes do not."""
    half = noise * (size // len(noise) // 2)
    for content in (half * 2, half + b"x" * len(half), b"x" * len(half) + half):
        text, truncated, _ = kept_of(content)
        assert len(text.encode()) <= OUTPUT_LIMIT_BYTES
        if truncated:
            omitted = re.search(r"\n\[\.\.\. (\d+) bytes omitted \.\.\.\]\n", text)
            assert omitted is not None
            assert 0 < int(omitted[1]) < len(content)


def test_new_output_is_shown_once_and_in_order() -> None:
    with written() as output:
        assert output.live() == []
        output.write(b"one\n")
        assert output.live() == [(0, "one\n")]
        assert output.live() == []
        output.write("zwölf".encode())
        assert output.live() == [(4, "zwölf")]


def test_half_a_character_is_shown_when_the_rest_has_come() -> None:
    with written() as output:
        output.write("a€".encode()[:2])
        assert output.live() == [(0, "a")]
        output.write("a€".encode()[2:] + b"b")
        assert output.live() == [(1, "€b")]
        output.write(b"c")
        assert output.live() == [(5, "c")]


@pytest.mark.parametrize("before", [100, HALF_BYTES - 3, 5_000_000])
def test_output_that_comes_faster_than_it_is_shown_is_skipped(before: int) -> None:
    with written() as output:
        output.write(b"x" * before)
        output.write(b"y" * 10 * LIVE_BYTES)
        output.write(b"end")
        pieces = output.live()
    text = "".join(text for _, text in pieces)
    assert pieces[0][0] == before + 10 * LIVE_BYTES + 3 - LIVE_BYTES
    assert (len(text), text[-3:]) == (LIVE_BYTES, "end")


@pytest.mark.parametrize("before", [0, HALF_BYTES - 99_997, OUTPUT_LIMIT_BYTES, 5_000_000])
def test_each_piece_of_new_output_begins_where_the_one_before_ended(before: int) -> None:
    content = ("a" + "€🎉é" * 20_000).encode() + b"\xff"
    shown, largest = "", 0
    with written() as output:
        output.write(b"x" * before)
        output.live()
        output.write(content)
        for offset, text in output.live():
            assert offset == before + len(shown.encode())
            shown += text
            largest = max(largest, len(text.encode()))
    assert shown == content.decode(errors="replace")
    assert 0 < largest <= PIECE_BYTES


def test_outputs_are_read_back_from_their_file_exactly() -> None:
    texts = {"stdout": 'a"\\\n\0\u2028€🎉' * 30_000, "stderr": ""}
    outputs = Outputs.write(texts)
    assert outputs.read() == texts
    outputs.close()
    outputs.close()


@pytest.mark.parametrize("text", ['a"\\\n\0\u2028€🎉', 'a"\\\n\0\u2028€🎉' * 30_000], ids=["short", "long"])
def test_only_long_outputs_take_a_descriptor(text: str) -> None:
    outputs = Outputs.of({"stdout": text.encode(), "stderr": b"err"})
    line, descriptors = encode(Outcome(0, outputs=outputs))
    received = decode(line, deque(map(os.dup, descriptors)))
    assert isinstance(received, Outcome)
    assert (received.stdout, received.stderr) == (text, "err")
    assert len(descriptors) == (len(text) > 100)
    with received.outputs.take() as file:  # type: ignore[union-attr]  # there are outputs
        assert json.load(file) == {"stdout": text, "stderr": "err"}
