"""API tokens for tests: one for each scope, and the headers that carry them."""

from __future__ import annotations

from collections.abc import Iterable

from jobqueue.access.entries import Entry, entry_for
from jobqueue.access.keyring import Keyring
from jobqueue.access.scopes import Scope, including
from jobqueue.access.tokens import checksum, digest_of

RANDOM = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefg"
NOT_CONFIGURED = "stranger"


def token(name: str) -> str:
    """Return the token of that name, always the same one."""
    return f"jq_{name}_{RANDOM}_{checksum(f'jq_{name}_{RANDOM}')}"


def line(name: str, *scopes: Scope) -> str:
    """Return the entry of that token, as a setting or a file has it."""
    return entry_for(name, scopes, token(name))


def entry(name: str, *scopes: Scope) -> Entry:
    """Return the entry of that token."""
    return Entry(name, including(scopes), digest_of(token(name).encode()))


def one_for_each_scope() -> Keyring:
    """Return a keyring with a token for each scope, named like it."""
    return Keyring.configured([entry(scope, scope) for scope in Scope], None)


def bearer(name: str) -> dict[str, str]:
    """Return the headers of a request with that token."""
    return {"Authorization": f"Bearer {token(name)}"}


def lines(entries: Iterable[str]) -> str:
    """Return the content of a file with these entries."""
    return "".join(f"{each}\n" for each in entries)
