"""Entries: how tokens are configured, and what is said about a wrong one."""

from __future__ import annotations

import pytest

from jobqueue.access.entries import Entry, InvalidEntry, entry_for, of_file, of_setting
from jobqueue.access.scopes import ALL_SCOPES, Scope, including
from jobqueue.access.tokens import checksum, digest_of

UNCHECKED = "jq_ci_0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefg"
TOKEN = f"{UNCHECKED}_{checksum(UNCHECKED)}"
DIGEST = digest_of(TOKEN.encode()).hex()
ONE = Entry("ci", frozenset({Scope.SUBMIT, Scope.READ}), bytes.fromhex(DIGEST))


def test_the_entry_of_a_new_token_is_read_as_it_was_asked_for() -> None:
    assert of_setting(entry_for("ci", [Scope.SUBMIT], TOKEN), "API_TOKENS") == [ONE]


@pytest.mark.parametrize("separator", [",", " ", "\n", "\t", "\r\n", " , ", ",\n\n"])
def test_entries_are_separated_by_commas_white_space_or_new_lines(separator: str) -> None:
    text = separator.join([f"ci:submit:{DIGEST}"] * 3)
    assert of_setting(text, "API_TOKENS") == of_file(text, "/tokens") == [ONE] * 3


def test_a_comment_in_a_file_ends_with_its_line() -> None:
    text = f"# all of them: x\nci:submit:{DIGEST} # a:read:old \x0b \u2028 and more\r\n#\n"
    assert of_file(text, "/tokens") == [ONE]


def test_the_digits_of_a_digest_may_be_upper_case() -> None:
    assert of_setting(f"ci:submit:{DIGEST.upper()}", "API_TOKENS") == [ONE]


def test_submit_includes_read_and_admin_includes_all() -> None:
    assert including([Scope.READ]) == {Scope.READ}
    assert including([Scope.SUBMIT]) == {Scope.SUBMIT, Scope.READ}
    assert including([Scope.EXECUTE]) == {Scope.EXECUTE}
    assert including([Scope.ADMIN]) == ALL_SCOPES


@pytest.mark.parametrize(
    "wrong",
    [
        TOKEN,
        f"ci:submit:{TOKEN}",
        f"ci:{TOKEN}:submit",
        f"{TOKEN}:submit:{DIGEST}",
        f"{DIGEST}:submit:{TOKEN}",
        f"{DIGEST}:submit:ci",
        f"ci:{DIGEST}",
        f"ci:submit:{DIGEST[:-1]}",
        f"ci:submit:{DIGEST}0",
        f"ci:submit:{DIGEST}:{TOKEN}",
        f"ci::{DIGEST}",
        f"ci:submit+:{DIGEST}",
        f"ci:Submit:{DIGEST}",
        f"ci:all:{DIGEST}",
        f"c_i:submit:{DIGEST}",
        f":submit:{DIGEST}",
        "secretpassword",
        "#",
    ],
)
def test_a_wrong_entry_is_named_by_its_place_and_without_what_may_be_secret(wrong: str) -> None:
    with pytest.raises(InvalidEntry) as caught:
        of_setting(f"a:read:{DIGEST},{wrong}", "API_TOKENS")
    message = str(caught.value)
    assert "Entry 2 of API_TOKENS" in message
    for secret in (TOKEN, DIGEST, DIGEST[:-1], TOKEN.split("_")[2], "password"):
        assert secret not in message


def test_a_wrong_entry_is_named_by_its_name() -> None:
    with pytest.raises(InvalidEntry, match=r"^Line 2 of /tokens \(ci\) has a scope that does not exist.*execute"):
        of_file(f"# first\nci:reed:{DIGEST}", "/tokens")
    with pytest.raises(InvalidEntry, match=r"^Entry 1 of API_TOKENS \(ci\).*64 hexadecimal digits"):
        of_setting(f"ci:read:{TOKEN}", "API_TOKENS")
