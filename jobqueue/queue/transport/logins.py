"""Logins that Redis refuses, and whether a login may run what the scripts run, asked before any of them is run."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, cast

import redis

from jobqueue.queue.transport.answers import code_of

if TYPE_CHECKING:
    from jobqueue.queue.transport.pool import StoreConnection

REFUSED_SECONDS = 0.25
"""After a login was refused, none is tried for so long. Otherwise every request would try one."""

# fmt: off
TAKES_ONE_KEY = frozenset((
    "DEL", "EXISTS", "GET", "GETRANGE", "HDEL", "HEXISTS", "HGET", "HGETALL", "HINCRBY", "HMGET", "HSET",
    "HSETNX", "INCR", "INCRBY", "LLEN", "LRANGE", "LTRIM", "PEXPIRE", "PTTL", "RPUSH", "SADD", "SCARD", "SET",
    "SISMEMBER", "SRANDMEMBER", "SREM", "ZADD", "ZCARD", "ZCOUNT", "ZRANGE", "ZRANGEBYSCORE", "ZREM",
    "ZREMRANGEBYRANK", "ZREVRANGE", "ZREVRANGEBYSCORE", "ZSCORE",
))
# fmt: on
"""Commands whose first argument is a key and need no other for the question. Redis 7.0 crashes when it is asked about a
command with a number of keys, such as EVALSHA, whose arguments are not all there. So no other command is asked about.
"""

# Servers and proxies that do not know the function, or a command, report nothing as missing.
SCRIPT = """
local missing = {}
for _, command in ipairs(ARGV) do
  local known, allowed = pcall(redis.acl_check_cmd, command, KEYS[1] .. ':absent')
  if known and not allowed then
    missing[#missing + 1] = command
  end
end
return missing
"""


class Logins:
    """The attempts of a pool to log in as one user; the server's default user if the name is empty."""

    def __init__(self, username: str | None) -> None:
        self._username = username
        self._root = ""
        self._needed: list[str] = []
        self._refusal: redis.AuthenticationError | None = None
        self._try_again_at = 0.0

    @property
    def is_refused(self) -> bool:
        """Whether the latest attempt failed. Connections that were made before may still work."""
        return self._refusal is not None

    def require(self, root: str, commands: Iterable[str]) -> None:
        """Refuse users from now on who may not run these commands on the keys that begin with `root`."""
        self._root, self._needed = root, sorted(TAKES_ONE_KEY.intersection(commands))

    def refuse_again(self) -> None:
        """Raise the latest refusal once more if it was a moment ago."""
        refusal = self._refusal
        if refusal is not None and time.monotonic() < self._try_again_at:
            raise redis.AuthenticationError(*refusal.args, status_code=refusal.status_code)

    def note_refusal(self, error: redis.AuthenticationError) -> None:
        """Try no login for a moment."""
        if time.monotonic() >= self._try_again_at:
            self._try_again_at = time.monotonic() + REFUSED_SECONDS
            # A copy: the traceback of the original leads to the frames of its callers.
            self._refusal = redis.AuthenticationError(*error.args, status_code=code_of(error))

    def check(self, connection: StoreConnection) -> None:
        """Raise redis.AuthenticationError if the user may not run the commands that are needed.

        A command that is refused stops a script half-way, and Redis keeps what the script has written until then. So
        what an ACL lacks, such as a command that a new version of the server uses, is found before any script is run.
        Without the name of a user there is nothing to ask: the default user may do everything, or has no ACL.
        """
        missing = self._missing(connection) if self._username and self._needed else []
        if missing:
            listed = ", ".join(missing).lower()
            text = f"the user {self._username!r} may not run what the queue needs on its keys: {listed}"
            raise redis.AuthenticationError(text, status_code="NOPERM")
        self._refusal = None

    def _missing(self, connection: StoreConnection) -> list[str]:
        connection.send_command("EVAL", SCRIPT, 1, self._root, *self._needed)  # type: ignore[no-untyped-call]
        try:
            return cast("list[str]", connection.read_response())
        except redis.ResponseError as error:
            if code_of(error) == "NOPERM":
                raise redis.AuthenticationError(str(error), status_code="NOPERM") from None
            return []
