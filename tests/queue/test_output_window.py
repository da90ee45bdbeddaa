"""`queue/records/output_window.py`: from any offset, the answer is a part of the stream in whole characters."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobqueue.output import HALF_BYTES, OUTPUT_LIMIT_BYTES, cut, missing_line
from jobqueue.queue.records.output_window import Part, follow_live, follow_stored

TEXT = st.text(st.characters(codec="utf-8"), max_size=30)
OFFSETS = st.integers(0, 200)
HEAD = "h" * HALF_BYTES
TAIL = "t" * (HALF_BYTES - 3) + "end"
MISSING = 5000
TOTAL = 2 * HALF_BYTES + MISSING
STORED = HEAD + missing_line(MISSING) + TAIL
TAIL_AT = TOTAL - len(TAIL)
LINE_AT = TAIL_AT - len(missing_line(MISSING))


@pytest.mark.parametrize(
    ("offset", "part"),
    [
        (0, Part(100, "live", 104)),
        (100, Part(100, "live", 104)),
        (102, Part(102, "ve", 104)),
        (104, Part(104, "", 104)),
        (105, Part(104, "", 104)),
        (2**53 - 1, Part(104, "", 104)),
    ],
)
def test_a_live_stream_is_available_from_its_kept_part_on(offset: int, part: Part) -> None:
    assert follow_live("live", 100, offset) == part


@pytest.mark.parametrize(("offset", "part"), [(0, Part(0, "", 0)), (9, Part(0, "", 0))])
def test_an_empty_stream_has_an_empty_part(offset: int, part: Part) -> None:
    assert follow_live("", 0, offset) == follow_stored("", None, offset) == part


@pytest.mark.parametrize(
    ("offset", "part"),
    [
        (0, Part(0, "aé漢🎉z", 11)),
        (1, Part(1, "é漢🎉z", 11)),
        (2, Part(3, "漢🎉z", 11)),
        (4, Part(6, "🎉z", 11)),
        (5, Part(6, "🎉z", 11)),
        (7, Part(10, "z", 11)),
        (9, Part(10, "z", 11)),
        (11, Part(11, "", 11)),
        (12, Part(11, "", 11)),
    ],
)
def test_no_character_is_split(offset: int, part: Part) -> None:
    assert follow_live("aé漢🎉z", 0, offset) == follow_stored("aé漢🎉z", None, offset) == part


@settings(deadline=None)
@given(TEXT, OFFSETS, OFFSETS)
def test_every_answer_is_a_part_of_the_live_stream(text: str, begin: int, offset: int) -> None:
    part = follow_live(text, begin, offset)
    encoded = text.encode()
    assert encoded[part.offset - begin :].decode() == part.data
    assert part.next_offset == part.offset + len(part.data.encode()) == begin + len(encoded)
    assert part.offset >= min(offset, part.next_offset)


@settings(deadline=None)
@given(TEXT, st.lists(OFFSETS, max_size=5))
def test_following_a_stream_to_its_end_reads_all_of_it(text: str, steps: list[int]) -> None:
    read, offset = "", 0
    for step in sorted(steps):
        part = follow_live(text[:step], 0, offset)
        read, offset = read + part.data, part.next_offset
    assert read + follow_stored(text, None, offset).data == text


def test_an_offset_in_the_head_of_a_truncated_stream_returns_all_stored_text_after_it() -> None:
    for offset in (0, 1, HALF_BYTES - 1, HALF_BYTES):
        assert follow_stored(STORED, TOTAL, offset) == Part(offset, STORED[offset:], TOTAL)


def test_an_offset_in_the_omitted_bytes_returns_the_line_and_the_tail() -> None:
    for offset in (HALF_BYTES + 1, HALF_BYTES + MISSING // 2, LINE_AT):
        assert follow_stored(STORED, TOTAL, offset) == Part(LINE_AT, STORED[HALF_BYTES:], TOTAL)


def test_an_offset_in_the_tail_returns_the_rest_of_the_tail() -> None:
    for offset in (TAIL_AT, TAIL_AT + 1, TOTAL - 4, TOTAL - 1):
        assert follow_stored(STORED, TOTAL, offset) == Part(offset, TAIL[offset - TAIL_AT :], TOTAL)


@pytest.mark.parametrize("offset", [TOTAL, TOTAL + 1, 2**53 - 1])
def test_an_offset_beyond_a_truncated_stream_returns_nothing(offset: int) -> None:
    assert follow_stored(STORED, TOTAL, offset) == Part(TOTAL, "", TOTAL)


def test_the_tail_begins_with_a_whole_character() -> None:
    tail = "é" * (HALF_BYTES // 2)
    stored = HEAD + missing_line(MISSING) + tail
    part = follow_stored(stored, TOTAL, TOTAL - 3)
    assert part == Part(TOTAL - 2, "é", TOTAL)


def test_a_head_may_be_shorter_by_a_partial_character() -> None:
    head = "h" + "漢" * ((HALF_BYTES - 1) // 3)
    stored = head + missing_line(MISSING) + TAIL
    for offset in (HALF_BYTES - 2, HALF_BYTES, HALF_BYTES + 1, HALF_BYTES + 40):
        part = follow_stored(stored, TOTAL, offset)
        assert part.next_offset == TOTAL
        assert stored.endswith(part.data)
        assert part.data.endswith(TAIL)


def test_an_output_that_the_server_cut_has_no_tail() -> None:
    """Its last bytes are not the last bytes of the stream, so an offset beyond them returns nothing."""
    written = "é" * OUTPUT_LIMIT_BYTES
    stored, total_bytes = cut(written), len(written.encode())
    offset = HALF_BYTES + 1000
    assert follow_stored(stored, total_bytes, offset) == Part(offset, stored[offset // 2 :], total_bytes)
    assert follow_stored(stored, total_bytes, total_bytes - 2) == Part(len(stored.encode()), "", total_bytes)


@settings(deadline=None)
@given(TEXT, st.integers(0, 100), OFFSETS)
def test_an_executor_that_counts_wrong_causes_no_error(text: str, total_bytes: int, offset: int) -> None:
    part = follow_stored(text, total_bytes, offset)
    assert part.next_offset == total_bytes
    assert text.endswith(part.data)
    assert offset < total_bytes or part.data == ""
