"""Has Redis announce the keys that expire, so that the end of a lease is noticed at once. Nothing depends on it."""

from __future__ import annotations

import redis

from jobqueue.errors import JobQueueError
from jobqueue.queue.connection import Connection

SETTING = "notify-keyspace-events"
EVENTS_OF_KEYS, EXPIRED, ALL = "E", "x", "A"
"""Letters of the setting: events on channels that are named for what happened, those of keys that expire, and those of
nearly every kind, which these are among.
"""


def channel(database: int) -> str:
    """Return the channel on which a server announces the names of the keys that expire."""
    return f"__keyevent@{database}__:expired"


def enable(connection: Connection) -> str:
    """Add these events to those that the server announces. A server that refuses is left as it is; return its words,
    "" if it has not refused.
    """
    client = connection.client
    try:
        present = str(connection.call(lambda: client.config_get(SETTING), changes_nothing=True).get(SETTING, ""))
        wanted = with_expired(present)
        if wanted != present:
            connection.call(lambda: client.config_set(SETTING, wanted), changes_nothing=True)
    except (JobQueueError, redis.RedisError) as error:
        cause = error.__cause__ or error
        # A server that is away, loads its data or wants another login has said nothing about the setting, and the
        # connection logs that.
        return str(cause) if isinstance(cause, redis.ResponseError) else ""
    return ""


def with_expired(present: str) -> str:
    """Return the letters of the setting with those that are needed. The order in which a server shows them varies."""
    has_expired = EXPIRED in present or ALL in present
    return present + EVENTS_OF_KEYS * (EVENTS_OF_KEYS not in present) + EXPIRED * (not has_expired)
