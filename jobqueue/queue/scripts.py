"""Assembles the Lua scripts in `lua/` and calls them by name."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import redis
from redis.exceptions import NoScriptError

from jobqueue.errors import JobQueueError
from jobqueue.queue.connection import Connection
from jobqueue.queue.refusals import refusal
from jobqueue.queue.transport.answers import NOT_THE_SERVER, code_of, translated
from jobqueue.queue.transport.exchange import exchange

LUA = Path(str(files("jobqueue"))) / "lua"
ROOT = "{jobqueue}"
"""The beginning of every key. The braces make it a hash tag: a cluster keeps all keys of a queue on one node."""

CALLED = re.compile(r"redis\.call\('([A-Z]+)'")
"""A command in a script. Those that are only tried, by `redis.pcall`, may be forbidden to a login."""

Reply = int | str | None | list["Reply"]

Call = tuple[str, Sequence[str | int]]
"""A script's name, and its arguments."""

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
        self._scripts = {path.stem: Script.read(path) for path in sorted(folder.glob("*.lua"))}
        texts = [script.text for script in self._scripts.values()]
        connection.require(root, {command for text in texts for command in CALLED.findall(text)})

    def call(self, name: str, *arguments: str | int) -> Reply:
        """Run a script and return its answer.

        Raises the error of REFUSALS if the script refuses, StoreUnavailable or StoreFull if Redis cannot serve.
        """
        script = self._scripts[name]
        reply = self._connection.call(lambda: self._run(script, arguments), script.changes_nothing)
        if not isinstance(reply, JobQueueError):
            return reply
        try:
            raise reply
        finally:
            # The error's traceback leads to this frame, and to its callers with the body of the request. If the frame
            # led back to the error, all of that would stay in memory until the garbage collector finds the circle.
            del reply

    def call_many(self, calls: Sequence[Call]) -> list[Reply | JobQueueError]:
        """Run scripts in one round trip and return their answers, in the same order.

        Each script is one atomic step; others may run between them. A script that refuses, or that Redis answers it
        cannot serve, has its error in the place of its answer, and does not stop the others.

        Raises StoreUnavailable if Redis falls silent before the last answer. Nobody knows then which scripts were run,
        so callers must be able to call all of them again.
        """
        batch = _Batch([(self._scripts[name], (self._root, *arguments)) for name, arguments in calls])
        try:
            self._connection.call(lambda: batch.run(self._connection.client), batch.changes_nothing)
            return batch.answers()
        except JobQueueError:
            if not batch.is_answered:
                raise
            return batch.answers()
        finally:
            batch.forget()

    def _run(self, script: Script, arguments: Sequence[str | int]) -> Reply | JobQueueError:
        """Return the answer. To the connection, a refusal is an answer like any other."""
        client, rest = self._connection.client, (1, self._root, *arguments)
        answers: list[Reply | redis.ResponseError] = []
        exchange(client, [("EVALSHA", script.sha1, *rest)], answers)
        # Redis has never had the script, or has forgotten it, and has done nothing. EVAL brings the text with it,
        # so that nothing can be forgotten between a load and a call.
        if isinstance(answers[0], NoScriptError):
            exchange(client, [("EVAL", script.text, *rest)], answers)
        answer = answers.pop()
        if not isinstance(answer, redis.ResponseError):
            return answer
        refused = refusal(str(answer))
        if refused is None:
            try:
                raise answer
            finally:
                del answer  # as in `call`
        return refused


class _Batch:
    """Scripts that are called together, and what Redis has answered so far."""

    def __init__(self, calls: Sequence[tuple[Script, Sequence[str | int]]]) -> None:
        self._calls = calls
        self._replies: dict[int, Reply | redis.ResponseError] = {}

    @property
    def changes_nothing(self) -> bool:
        """Whether all of the scripts only read."""
        return all(script.changes_nothing for script, _ in self._calls)

    @property
    def is_answered(self) -> bool:
        """Whether Redis has answered every call, even if by an error."""
        return len(self._replies) == len(self._calls)

    def run(self, client: redis.Redis) -> None:
        """Run the scripts that have not run yet. Raises redis.RedisError if Redis cannot serve one of them.

        When it is called again, only those are run that the first server refused because it was not the one to ask.
        """
        self._replies = {index: reply for index, reply in self._replies.items() if not _is_for_another_server(reply)}
        self._run(client, "EVALSHA", [index for index in range(len(self._calls)) if index not in self._replies])
        # Redis has never had these scripts, or has forgotten them, and has done nothing. EVAL brings the text with it,
        # so that nothing can be forgotten between a load and a call. They run after all the others.
        unknown = [index for index, reply in self._replies.items() if isinstance(reply, NoScriptError)]
        if unknown:
            self._run(client, "EVAL", unknown)
        fault = self._fault()
        if fault is None:
            return
        try:
            raise fault
        finally:
            del fault  # or this frame, and all that its callers hold, would be kept by the error's traceback

    def _fault(self) -> redis.ResponseError | None:
        """Return an error that is no refusal; one that another server may not answer before all others."""
        faults = [reply for reply in self._replies.values() if isinstance(reply, redis.ResponseError)]
        faults.sort(key=_is_for_another_server, reverse=True)
        return next((fault for fault in faults if refusal(str(fault)) is None), None)

    def answers(self) -> list[Reply | JobQueueError]:
        """Return the answer to each call. Raises redis.ResponseError if a script is itself at fault."""
        return [_answer(self._replies[index]) for index in range(len(self._calls))]

    def forget(self) -> None:
        """Drop the replies. Errors among them lead to frames that lead back to them, with the body of the request."""
        self._replies = {}

    def _run(self, client: redis.Redis, command: str, indexes: Sequence[int]) -> None:
        replies: list[Reply | redis.ResponseError] = []
        try:
            exchange(client, [self._command(command, *self._calls[index]) for index in indexes], replies)
        finally:
            self._replies |= zip(indexes, replies, strict=False)  # what was answered before a silence counts

    @staticmethod
    def _command(command: str, script: Script, rest: Sequence[str | int]) -> Sequence[str | int]:
        return (command, script.sha1 if command == "EVALSHA" else script.text, 1, *rest)


def _is_for_another_server(reply: Reply | redis.ResponseError) -> bool:
    return isinstance(reply, redis.ResponseError) and code_of(reply) in NOT_THE_SERVER


def _answer(reply: Reply | redis.ResponseError) -> Reply | JobQueueError:
    if not isinstance(reply, redis.ResponseError):
        return reply
    answer = refusal(str(reply)) or translated(reply)
    if not isinstance(answer, JobQueueError):
        raise answer
    return answer


@dataclass(frozen=True)
class Script:
    """A script as Redis gets it, its name there, and whether it only reads."""

    text: str
    sha1: str
    changes_nothing: bool

    @classmethod
    def read(cls, path: Path) -> Script:
        """Assemble a script of `lua/`. Its header says whether it changes anything."""
        text = assemble(path)
        sha1 = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()
        return cls(text, sha1, changes_nothing="\n-- STATUSES none\n" in text)


def assemble(path: Path) -> str:
    """Return a script as Redis gets it: the fragments that its USES lines name, in that order, then the script.

    Fragments are in folders below `lib/`, and no two have the same name. Raises FileNotFoundError for a missing one.
    """
    lib, script = path.parent / "lib", path.read_text()
    fragments = {each.stem: each for each in lib.glob("*/*.lua")}
    return "\n".join([*(fragments.get(name, lib / f"{name}.lua").read_text() for name in uses(script)), script])


def uses(script: str) -> Sequence[str]:
    """Return the names of the fragments in the USES lines of a script's header."""
    return [name for line in re.findall(r"^-- USES(.*)$", script, re.MULTILINE) for name in line.split()]
