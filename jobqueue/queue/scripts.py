"""Assembles the Lua scripts in `lua/`, calls them by name, and turns their refusals into errors."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from importlib.resources import files
from pathlib import Path

import redis

from jobqueue.errors import JobNotFound, JobQueueError, LeaseLost, NotHeld, NotPending, NotRunning
from jobqueue.queue.connection import Connection

LUA = Path(str(files("jobqueue"))) / "lua"
ROOT = "{jobqueue}"
"""The beginning of every key. The braces make it a hash tag: a cluster keeps all keys of a queue on one node."""

REFUSALS: dict[str, type[JobQueueError]] = {
    "JOB_NOT_FOUND": JobNotFound,
    "NOT_PENDING": NotPending,
    "NOT_HELD": NotHeld,
    "NOT_RUNNING": NotRunning,
    "LEASE_LOST": LeaseLost,
}

Reply = int | str | None | list["Reply"]

Clock = Callable[[], str]
"""Returns the time in milliseconds as text, or "" for Redis's own time. Only tests pass a time."""


def redis_clock() -> str:
    """Return the clock reading that stands for Redis's own time."""
    return ""


class Scripts:
    """All scripts of `lua/`, read once and called by name. Redis gets a script when it is first called."""

    def __init__(self, connection: Connection, root: str = ROOT, folder: Path = LUA) -> None:
        self._connection = connection
        self._root = root
        self._scripts = {
            path.stem: connection.client.register_script(assemble(path)) for path in sorted(folder.glob("*.lua"))
        }

    def call(self, name: str, *arguments: str | int) -> Reply:
        """Run a script and return its answer.

        Raises the error of REFUSALS if the script refuses, StoreUnavailable or StoreFull if Redis cannot serve.
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
        # Outside the block: to the connection, a script that refuses is an answer like any other.
        raise refused


def refusal(text: str) -> JobQueueError | None:
    """Return the error for a refusal ("NOT_PENDING running"); None if the text is not a refusal."""
    code, _, fact = text.partition(" ")
    if code not in REFUSALS:
        return None
    return REFUSALS[code](status=fact.strip()) if fact.strip() else REFUSALS[code]()


def assemble(path: Path) -> str:
    """Return a script as Redis gets it: the fragments that its USES lines name, in that order, then the script."""
    script = path.read_text()
    return "\n".join([*((path.parent / "lib" / f"{name}.lua").read_text() for name in uses(script)), script])


def uses(script: str) -> Sequence[str]:
    """Return the names of the fragments in the USES lines of a script's header."""
    return [name for line in re.findall(r"^-- USES(.*)$", script, re.MULTILINE) for name in line.split()]
