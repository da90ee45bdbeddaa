"""Whether Redis answers, takes writes and has space."""

from __future__ import annotations

from enum import StrEnum

import redis

from jobqueue.errors import StoreFull, StoreUnavailable
from jobqueue.queue.connection import Connection
from jobqueue.queue.scripts import ROOT
from jobqueue.queue.transport.answers import TAKES_NO_WRITES, code_of
from jobqueue.queue.transport.exchange import ask

ABSENT = f"{ROOT}:absent"
"""A key that never exists; `lua/lib/store/keys.lua` names it, too."""


class Health(StrEnum):
    """The health of the database, as `GET /health` names it."""

    CONNECTED = "connected"
    FULL = "full"
    READ_ONLY = "read_only"
    UNAUTHORIZED = "unauthorized"
    DISCONNECTED = "disconnected"


def check(connection: Connection) -> Health:
    """Return the health of Redis, found by a write that is refused like any other but makes nothing."""
    try:
        connection.call(lambda: ask(connection.client, ("SETRANGE", ABSENT, 0, "")), changes_nothing=True)
    except StoreFull:
        return Health.FULL
    except StoreUnavailable as error:
        code = code_of(error.__cause__)
        if code == "NOPERM" and _answers(connection):  # the scripts work without that command, if less well
            return Health.CONNECTED
        if code == "NOPERM" or isinstance(error.__cause__, redis.AuthenticationError):
            return Health.UNAUTHORIZED
        return Health.READ_ONLY if code in TAKES_NO_WRITES else Health.DISCONNECTED
    return Health.CONNECTED


def _answers(connection: Connection) -> bool:
    try:
        connection.ping()
    except StoreUnavailable:
        return False
    return True
