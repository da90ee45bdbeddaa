"""Tokens: their form, their randomness, and what counts as mistyped."""

from __future__ import annotations

import re

import pytest

from jobqueue.access.tokens import checksum, digest_of, is_mistyped, is_name, new_token

UNCHECKED = "jq_ci-2.main_0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefg"
TOKEN = f"{UNCHECKED}_{checksum(UNCHECKED)}"


def test_a_token_has_the_documented_form() -> None:
    assert re.fullmatch(r"jq_ci-2\.main_[0-9A-Za-z]{43}_[0-9A-Za-z]{6}", new_token("ci-2.main"))


def test_no_two_tokens_are_the_same() -> None:
    assert len({new_token("ci").split("_")[2] for _ in range(100)}) == 100


def test_the_checksum_is_the_crc_of_the_rest() -> None:
    # Computed by hand: the CRC-32 of "123456789" is 0xCBF43926, the check value that every description of it gives.
    digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
    number = 0
    for digit in checksum("123456789"):
        number = 62 * number + digits.index(digit)
    assert number == 0xCBF43926
    assert TOKEN.endswith("_" + checksum(TOKEN[:-7]))


@pytest.mark.parametrize("name", ["a", "A1", "ci-2.main", "x" * 64, "0"])
def test_a_name_that_survives_in_tokens_and_entries_is_allowed(name: str) -> None:
    assert is_name(name)
    assert not is_mistyped(new_token(name))


@pytest.mark.parametrize("name", ["", "a_b", "a:b", "a b", "a,b", "a#", "-a", "a.", "ä", "a\n", "x" * 65, "0a" * 32])
def test_any_other_name_is_refused(name: str) -> None:
    assert not is_name(name)
    with pytest.raises(ValueError, match="a name has 1 to 64 letters"):
        new_token(name)


def test_a_token_with_one_wrong_character_is_mistyped() -> None:
    for place in range(3, len(TOKEN)):
        wrong = "x" if TOKEN[place] != "x" else "y"
        assert is_mistyped(TOKEN[:place] + wrong + TOKEN[place + 1 :]), place


@pytest.mark.parametrize("text", [TOKEN[:-1], TOKEN + "x", "jq_", TOKEN + "\n", TOKEN.replace("_", "-", 1).lower()])
def test_a_token_that_is_cut_or_longer_is_no_token(text: str) -> None:
    assert is_mistyped(text) is text.startswith("jq_")


def test_a_text_of_another_form_is_not_mistyped() -> None:
    assert not is_mistyped("correct horse battery staple")


def test_the_digest_is_what_sha256sum_prints() -> None:
    assert digest_of(b"abc").hex() == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
