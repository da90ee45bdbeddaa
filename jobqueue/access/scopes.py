"""The scopes of tokens: what a token allows, and which scopes include others."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum


class Scope(StrEnum):
    """What a token allows.

    READ: look at jobs, their output, counts and executors. SUBMIT: submit and cancel jobs as well. EXECUTE: claim jobs
    and report about them. ADMIN: everything.
    """

    READ = "read"
    SUBMIT = "submit"
    EXECUTE = "execute"
    ADMIN = "admin"


ALL_SCOPES = frozenset(Scope)


def including(scopes: Iterable[Scope]) -> frozenset[Scope]:
    """Return the scopes, and those that they include."""
    given = frozenset(scopes)
    if Scope.ADMIN in given:
        return ALL_SCOPES
    return given | {Scope.READ} if Scope.SUBMIT in given else given
