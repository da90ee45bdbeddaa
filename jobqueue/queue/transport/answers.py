"""What the errors that Redis answers mean: full, unavailable, or our own fault."""

from __future__ import annotations

import redis

from jobqueue.errors import JobQueueError, StoreFull, StoreUnavailable

TAKES_NO_WRITES = frozenset({"READONLY", "MISCONF", "NOREPLICAS"})
"""The server is a replica; cannot save its data to disk; or is a primary that is cut off from its replicas."""

NOT_THE_SERVER = frozenset({"READONLY", "LOADING", "MASTERDOWN"})
"""Another server may be the one to ask by now. Each is answered before a script has changed anything: a replica
refuses the first write, and every write is refused as long as it is a replica, which does not change inside a script; a
server that is loading refuses the script itself. So the script can be run again, once, on a new connection.
"""

UNAVAILABLE_CODES = frozenset(
    {
        *TAKES_NO_WRITES,
        *NOT_THE_SERVER,
        "ASK",
        "BUSY",
        "CLUSTERDOWN",
        "DENIED",
        "MOVED",
        "NOAUTH",
        "NOPERM",
        "REDIRECT",
        "TRYAGAIN",
        "UNKILLABLE",
        "WRONGPASS",
    }
)
"""The first words of errors that are about the server or the login to it, not about the command."""

UNAVAILABLE_TEXTS = (
    "max number of clients reached",
    "DB index is out of range",
    "invalid DB index",
    "SELECT is not allowed in cluster mode",
    "without any password configured",
    "Script killed by user",
    "no upstream host",
    "upstream failure",
    "upstream connection",
)
"""Parts of such errors that have no code of their own. The last ones are what proxies say for a server that is gone."""

IN_A_SCRIPT = ("The user executing the script can't", "ACL failure in script")
"""How Redis 7.0, and later servers, say inside a script that the user may not run a command. There is no code then."""

LAST_ON_A_CONNECTION = UNAVAILABLE_CODES - {"BUSY", "TRYAGAIN", "UNKILLABLE", "NOPERM"}
"""After the others, a new connection may lead to another server, or to the same one with another login."""


def code_of(error: BaseException | None) -> str:
    """Return the first word of an error that Redis answered; "" for any other error, which is silence."""
    if not isinstance(error, redis.RedisError):
        return ""
    if any(text in str(error) for text in IN_A_SCRIPT):
        return "NOPERM"
    if error.status_code:
        return str(error.status_code)
    return str(error).partition(" ")[0] if isinstance(error, redis.ResponseError) else ""


def refuses_scripts(error: redis.RedisError) -> bool:
    """Return whether the user may not run a script, or something in it, and not just one of the other commands."""
    return code_of(error) == "NOPERM" and any(part in str(error) for part in ("script", "'eval", "key"))


def translated(error: redis.RedisError) -> JobQueueError | redis.RedisError:
    """Return the error of the job queue for one of redis-py; the error itself when the command is at fault."""
    code = code_of(error)
    if code == "OOM":
        return StoreFull()
    silent = not code and not isinstance(error, redis.ResponseError | redis.DataError)
    if silent or code in UNAVAILABLE_CODES or any(text in str(error) for text in UNAVAILABLE_TEXTS):
        return StoreUnavailable()
    return error
