"""Puts the scripts in `lua/` together, calls them by name, and turns what they refuse into errors."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import redis

from jobqueue.errors import JobNotFound, JobQueueError, LeaseLost, NotHeld, NotPending, NotRunning
from jobqueue.queue.connection import Connection

LUA = Path(__file__).parents[2] / "lua"
ROOT = "{jobqueue}"
"""What every key begins with. The braces make it the hash tag: a cluster keeps all keys of a queue on one node."""

REFUSALS: dict[str, type[JobQueueError]] = {
    "JOB_NOT_FOUND": JobNotFound,
    "NOT_PENDING": NotPending,
    "NOT_HELD": NotHeld,
    "NOT_RUNNING": NotRunning,
    "LEASE_LOST": LeaseLost,
}

Reply = int | str | None | list["Reply"]

Clock = Callable[[], str]
"""The time in milliseconds as text, or "" to let Redis say it. Only tests know better than Redis."""


def redis_clock() -> str:
    """Leave the time to Redis."""
    return ""


class Scripts:
    """Every script of `lua/`, loaded once and called by name."""

    def __init__(self, connection: Connection, root: str = ROOT, folder: Path = LUA) -> None:
        self._connection = connection
        self._root = root
        self._scripts = {
            path.stem: connection.client.register_script(assemble(path)) for path in sorted(folder.glob("*.lua"))
        }

    def call(self, name: str, *arguments: str | int) -> Reply:
        """Run a script and return its answer.

        Raises the error that REFUSALS has for a refusal, StoreUnavailable or StoreFull for the state of Redis.
        """
        with self._connection.watched():
            try:
                reply: Reply = self._scripts[name](keys=[self._root], args=arguments)
            except redis.ResponseError as error:
                refused = refusal(str(error))
                if refused is None:
                    raise
            else:
                return reply
        raise refused


def refusal(text: str) -> JobQueueError | None:
    """Return the error for what a script said ("NOT_PENDING running"), None when that is no refusal."""
    code, _, fact = text.partition(" ")
    if code not in REFUSALS:
        return None
    return REFUSALS[code](status=fact.strip()) if fact.strip() else REFUSALS[code]()


def assemble(path: Path) -> str:
    """Return a script as Redis gets it: the fragments that its USES lines name, in that order, then itself."""
    script = path.read_text()
    return "\n".join([*((path.parent / "lib" / f"{name}.lua").read_text() for name in uses(script)), script])


def uses(script: str) -> Sequence[str]:
    """Return the fragments that a script's header names."""
    return [name for line in re.findall(r"^-- USES(.*)$", script, re.MULTILINE) for name in line.split()]


def write_assembled(folder: Path) -> None:
    """Write every script as Redis gets it into `folder`, for a linter to read."""
    folder.mkdir(parents=True, exist_ok=True)
    for path in sorted(LUA.glob("*.lua")):
        (folder / path.name).write_text(assemble(path))


if __name__ == "__main__":
    write_assembled(Path(sys.argv[1]))
