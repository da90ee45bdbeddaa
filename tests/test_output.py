"""`output.py`: a mebibyte of each stream is result, in whole characters."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobqueue.output import (
    HALF_BYTES,
    OUTPUT_LIMIT_BYTES,
    cut,
    missing_line,
    without_partial_beginning,
    without_partial_end,
)


def test_the_limit_is_a_megabyte() -> None:
    assert OUTPUT_LIMIT_BYTES == 1024 * 1024


@pytest.mark.parametrize("character", ["x", "é", "漢", "🎉", "\0", "\n"])
def test_a_text_that_just_fits_is_kept_and_one_more_character_is_not(character: str) -> None:
    fits = character * (OUTPUT_LIMIT_BYTES // len(character.encode()))
    assert cut(fits) == fits
    assert cut(fits + character) == fits


@pytest.mark.parametrize("character", ["é", "漢", "🎉"])
def test_a_character_is_never_cut_in_two(character: str) -> None:
    for before in range(1, len(character.encode())):
        result = "x" * (OUTPUT_LIMIT_BYTES - before)
        assert cut(result + character) == result
        assert cut(result + character + "x" * 10) == result


def test_an_empty_output_stays_empty() -> None:
    assert cut("") == ""


@settings(deadline=None, max_examples=25)
@given(st.text(st.characters(codec="utf-8"), min_size=1, max_size=20))
def test_cut_keeps_the_longest_beginning_that_fits(text: str) -> None:
    long = text * (OUTPUT_LIMIT_BYTES // len(text.encode()) + 1)
    result = cut(long)
    assert long.startswith(result)
    assert len(result.encode()) <= OUTPUT_LIMIT_BYTES < len(long[: len(result) + 1].encode())


def test_both_halves_and_the_line_between_fit_however_much_is_missing() -> None:
    line = missing_line(10**18)
    assert 2 * HALF_BYTES + len(line.encode()) <= OUTPUT_LIMIT_BYTES


def test_the_line_between_says_how_much_is_missing_and_stands_alone() -> None:
    assert missing_line(1234) == "\n[... 1234 bytes omitted ...]\n"


@pytest.mark.parametrize("character", ["x", "é", "漢", "🎉"])
def test_a_partial_character_at_the_beginning_is_dropped_and_nothing_else(character: str) -> None:
    encoded = character.encode()
    assert without_partial_beginning(encoded + b"rest") == encoded + b"rest"
    for cut_off in range(1, len(encoded)):
        assert without_partial_beginning(encoded[cut_off:] + "réste".encode()) == "réste".encode()
        assert without_partial_beginning(encoded[cut_off:]) == b""


@pytest.mark.parametrize("character", ["x", "é", "漢", "🎉"])
def test_a_partial_character_at_the_end_is_dropped_and_nothing_else(character: str) -> None:
    encoded = character.encode()
    assert without_partial_end(b"rest" + encoded) == b"rest" + encoded
    for length in range(1, len(encoded)):
        assert without_partial_end("résté".encode() + encoded[:length]) == "résté".encode()
        assert without_partial_end(encoded[:length]) == b""


def test_bytes_that_no_character_ends_with_stay_at_the_end() -> None:
    assert without_partial_end(b"rest\xff\x80") == b"rest\xff\x80"


def test_an_empty_text_has_no_partial_character() -> None:
    assert without_partial_beginning(b"") == without_partial_end(b"") == b""


@settings(deadline=None)
@given(st.text(st.characters(codec="utf-8"), max_size=20), st.integers(0, 80))
def test_the_end_of_a_text_can_be_read_wherever_it_was_cut(text: str, cut_off: int) -> None:
    encoded = text.encode()
    result = without_partial_beginning(encoded[cut_off:])
    assert text.endswith(result.decode())
    assert len(encoded[cut_off:]) - len(result) <= 3
