"""`output.py`: the first megabyte of a stream is kept, and never half a character."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobqueue.output import OUTPUT_LIMIT_BYTES, cut


def test_the_limit_is_a_megabyte() -> None:
    assert OUTPUT_LIMIT_BYTES == 1024 * 1024


@pytest.mark.parametrize("character", ["x", "é", "漢", "🎉", "\0", "\n"])
def test_what_just_fits_is_kept_and_one_character_more_is_not(character: str) -> None:
    fits = character * (OUTPUT_LIMIT_BYTES // len(character.encode()))
    assert cut(fits) == fits
    assert cut(fits + character) == fits


@pytest.mark.parametrize("character", ["é", "漢", "🎉"])
def test_a_character_is_never_cut_in_two(character: str) -> None:
    for before in range(1, len(character.encode())):
        kept = "x" * (OUTPUT_LIMIT_BYTES - before)
        assert cut(kept + character) == kept
        assert cut(kept + character + "x" * 10) == kept


def test_no_output_is_no_output() -> None:
    assert cut("") == ""


@settings(deadline=None, max_examples=25)
@given(st.text(st.characters(codec="utf-8"), min_size=1, max_size=20))
def test_what_is_kept_is_the_longest_beginning_that_fits(text: str) -> None:
    long = text * (OUTPUT_LIMIT_BYTES // len(text.encode()) + 1)
    kept = cut(long)
    assert long.startswith(kept)
    assert len(kept.encode()) <= OUTPUT_LIMIT_BYTES < len(long[: len(kept) + 1].encode())
