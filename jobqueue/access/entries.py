"""The configured tokens: entries `name:scope[+scope]:sha256-of-the-token`, in a setting or in a file.

They are separated by commas, white space or new lines. In a file, `#` begins a comment.

No message about a wrong entry shows more of it than its name: what is wrong may be a token in the place of its digest.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from jobqueue.access.scopes import Scope, including
from jobqueue.access.tokens import NAME_RULE, digest_of, is_digest, is_name

PARTS = 3
FORM = "an entry is name:scope[+scope]:sha256-of-the-token"


class InvalidEntry(Exception):
    """An entry is wrong. The message is a sentence that names its place and, if it has one, its name."""


@dataclass(frozen=True)
class Entry:
    """A configured token: its name, its scopes with those that they include, and the SHA-256 of the token."""

    name: str
    scopes: frozenset[Scope]
    digest: bytes


def entry_for(name: str, scopes: Iterable[Scope], token: str) -> str:
    """Return the text of the entry for a new token."""
    return f"{name}:{'+'.join(dict.fromkeys(scopes))}:{digest_of(token.encode()).hex()}"


def of_setting(text: str, name: str) -> list[Entry]:
    """Return the entries of a setting with that name. Raises InvalidEntry."""
    words = [word for word in re.split(r"[\s,]+", text) if word]
    return [_entry(word, f"Entry {number} of {name}") for number, word in enumerate(words, 1)]


def of_file(text: str, path: str) -> list[Entry]:
    """Return the entries of a file with that path. Raises InvalidEntry."""
    return [_entry(word, f"Line {number} of {path}") for number, word in _words(text)]


def _words(text: str) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(re.split(r"\r\n?|\n", text), 1):
        yield from ((number, word) for word in re.split(r"[\s,]+", line.partition("#")[0]) if word)


def _entry(text: str, place: str) -> Entry:
    parts = text.split(":")
    name, scopes, digest = parts if len(parts) == PARTS else ("", "", "")
    # A text without colons may be anything, also a password, so the first part is only shown where it is the name.
    where = f"{place} ({name})" if is_name(name) else place
    if len(parts) != PARTS:
        raise InvalidEntry(f"{where} is not complete: {FORM}.")
    if not is_name(name):
        raise InvalidEntry(f"{where} has no name that a token may have: {NAME_RULE}.")
    words = scopes.split("+")
    if not {*words} <= {*Scope}:
        raise InvalidEntry(f"{where} has a scope that does not exist: the scopes are {', '.join(Scope)}.")
    if not is_digest(digest):
        raise InvalidEntry(
            f"{where} does not end with the SHA-256 of its token, which is 64 hexadecimal digits; "
            "the token itself does not belong there."
        )
    return Entry(name, including(map(Scope, words)), bytes.fromhex(digest))
