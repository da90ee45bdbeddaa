"""No text of a client becomes a part of a script or of another command: Redis gets constant scripts, and data."""

from __future__ import annotations

import ast
import hashlib
import re
from dataclasses import dataclass

import pytest

from jobqueue.job import NewJob, Priority, Spec
from jobqueue.queue.claims import ClaimRequest
from jobqueue.queue.queries import Filter
from jobqueue.queue.scripts import LUA, ROOT, assemble
from jobqueue.queue.transport import logins
from jobqueue.result import Holder, Result
from tests.support.bench import SHA256, Bench
from tests.support.paths import ROOT as PROJECT

SCRIPTS = sorted(LUA.glob("*.lua"))
FILES = sorted(LUA.rglob("*.lua"))
RUN_BY_NAME = re.compile(r"\b(?:loadstring|load|loadfile|dofile|require|setfenv|getfenv|_G|debug|rawset)\b")
CONNECTING = {"AUTH", "HELLO", "CLIENT", "SELECT"}
"""What opens a connection. None of it comes from a client."""

HOSTILE = [
    "']] redis.call('FLUSHALL') --",
    '" .. redis.call("FLUSHALL") .. "',
    "\r\n*1\r\n$8\r\nFLUSHALL\r\n",
    "{jobqueue}:executors",
    "..:{other}:x",
    "]==] return {} --[==[",
    "\\'; return 1 --",
    "%s%d%n",
    "$1 KEYS[1] ARGV[1]",
    "\0\x01\n",
]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_script_runs_no_text_and_calls_only_commands_that_it_names(path: object) -> None:
    source = re.sub(r"--.*", "", (LUA / str(path)).read_text())
    assert RUN_BY_NAME.findall(source) == []
    calls = re.findall(r"redis\.p?call\(\s*(.)", source)
    assert set(calls) <= {"'"}


def test_only_two_modules_run_scripts_and_none_of_them_is_made_of_parts() -> None:
    users = [path for path in (PROJECT / "jobqueue").rglob("*.py") if runs_scripts(ast.parse(path.read_text()))]
    assert sorted(users) == [PROJECT / "jobqueue/queue/scripts.py", PROJECT / "jobqueue/queue/transport/logins.py"]
    texts = {path.read_text() for path in FILES}
    for path in SCRIPTS:
        rest = assemble(path)
        for text in sorted(texts, key=len, reverse=True):
            rest = rest.replace(text, "")
        assert rest.strip() == ""


def runs_scripts(tree: ast.AST) -> bool:
    """Whether a module names a command that runs a script, or a method of redis-py that does."""
    texts = {str(node.value) for node in ast.walk(tree) if isinstance(node, ast.Constant)}
    words = {text.upper() for text in texts - {"script"}}  # a word of messages, too
    names = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    commands = {"EVAL", "EVALSHA", "EVAL_RO", "EVALSHA_RO", "FCALL", "FUNCTION", "SCRIPT"}
    return bool(words & commands or names & {"eval", "evalsha", "register_script", "script_load", "fcall"})


@pytest.mark.parametrize("text", HOSTILE, ids=ascii)
def test_hostile_text_reaches_redis_as_data_alone(real_bench: Bench, text: str) -> None:
    client = real_bench.client
    client.script_flush()
    texts = [logins.SCRIPT, *map(assemble, SCRIPTS)]
    scripts = {hashlib.sha1(text.encode()).hexdigest().encode() for text in texts}
    literal = {name for path in FILES for name in re.findall(r"redis\.p?call\('(\w+)'", path.read_text())}
    commands = set()
    with client.monitor() as monitor:  # type: ignore[no-untyped-call]  # redis-py has no types here
        job_id = live(real_bench, text)
        client.echo("the end")
        while (seen := Seen.read(monitor.connection.read_response(disable_decoding=True))).command != "ECHO":
            if seen.is_of_a_script:
                commands.add(seen.command)
            elif seen.command not in CONNECTING:
                assert seen.command in ("EVAL", "EVALSHA")
                assert seen.script in scripts
    assert commands
    assert commands <= literal
    assert all(str(key).startswith(f"{ROOT}:") for key in client.keys("*"))
    assert real_bench.queries.get(job_id).spec.arguments == [text]


@dataclass(frozen=True)
class Seen:
    """A command as Redis shows it to MONITOR: who gave it, its name and its first argument."""

    is_of_a_script: bool
    command: str
    first: bytes

    @classmethod
    def read(cls, line: bytes) -> Seen:
        """Return what a line shows."""
        found = re.match(rb'\+?[0-9.]+ \[\d+ (\S+)\] "(\w+)"(?: ("(?:[^"\\]|\\.)*"))?', line)
        assert found, line
        first = ast.literal_eval(f"b{found[3].decode()}") if found[3] else b""
        return cls(found[1] == b"lua", found[2].decode().upper(), first)

    @property
    def script(self) -> bytes:
        """The hash of the script that the command runs."""
        return hashlib.sha1(self.first).hexdigest().encode() if self.command == "EVAL" else self.first


def named(text: str) -> str:
    """Return what may stand in a name of this text: no name may hold white space or invisible characters."""
    return "".join(character for character in text if character.isprintable() and character != " ") or "none"


def live(bench: Bench, text: str) -> str:
    """Live a job's whole life with this text wherever a client may send one; return the id."""
    name = named(text)
    spec = Spec(text, SHA256, [text], {text: text})
    [job_id] = bench.commands.submit([NewJob(name, Priority.BACKGROUND, spec)], text).job_ids
    (claimed,) = bench.claims.claim_many(ClaimRequest(name, text, claim_id=name, types=[name])).jobs
    assert claimed.job.id == job_id
    holder = Holder(name, claimed.attempt_token)
    bench.claims.heartbeat(job_id, holder)
    bench.claims.complete(job_id, holder, Result(0, text, text, text))
    bench.commands.cancel_many([text])
    bench.queries.list(Filter(type=name), 10)
    bench.queries.executors(10, 0)
    bench.queries.stats()
    bench.commands.sweep()
    return job_id
