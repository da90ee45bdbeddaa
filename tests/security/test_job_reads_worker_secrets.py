"""A job looks for its worker's API token: in environments, command lines, descriptors, directories and the file."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from jobqueue.worker.isolation import levels
from tests.support.confined import python, why_impossible
from tests.support.fake_api import FakeApi, running_api
from tests.support.service import Service

CANARY = f"jq_worker_{43 * 'c'}_1h0fgo"
SPY = """
import json, os, pathlib, sys
needle = b"c" * 43
found, looked_at = [], 0
def look(place, read):
    global looked_at
    try:
        content = read()
    except (OSError, ValueError):
        return
    looked_at += 1
    if needle in content:
        found.append(place)
def ancestors():
    pid = os.getpid()
    while pid:
        yield pid
        try:
            pid = int(pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            return
look("environment", lambda: repr(sorted(os.environb.items())).encode())
pids = {*ancestors(), *(int(name) for name in os.listdir("/proc") if name.isdigit())}
for pid in pids:
    for name in ("environ", "cmdline", "auxv", "comm"):
        look(f"{name} of a process", pathlib.Path(f"/proc/{pid}/{name}").read_bytes)
for pid in ancestors():
    for name in ("fd", "root", "cwd"):
        try:
            entries = os.listdir(f"/proc/{pid}/{name}")
        except OSError:
            continue
        for entry in entries if name == "fd" else ("token", "../token"):
            path = f"/proc/{pid}/{name}/{entry}"
            if os.path.isfile(path):
                look(f"{name} of an ancestor", pathlib.Path(path).read_bytes)
for number in range(3, 256):
    look("a descriptor of its own", lambda: os.pread(number, 65536, 0))
for parent in (pathlib.Path.cwd(), *list(pathlib.Path.cwd().parents)[:2]):
    for folder, _, names in os.walk(parent):
        for name in names:
            if os.path.join(folder, name) != os.path.realpath(sys.argv[0]):
                look("a file near its directory", pathlib.Path(folder, name).read_bytes)
file = pathlib.Path(sys.argv[1])
look("the file", file.read_bytes)
look("a name beside the file", lambda: repr(os.listdir(file.parent)).encode())
print(json.dumps([sorted(set(found)), looked_at]))
"""
"""Prints where it has found the token, and at how many places it could look. The program itself does not hold it."""


@pytest.fixture
def passable() -> Iterator[Path]:
    """A directory that every user may enter, with the worker's token in a file that only the worker's user may read."""
    with tempfile.TemporaryDirectory(prefix="jq-") as name:
        folder = Path(name)
        folder.chmod(0o1777)
        (folder / "secrets").mkdir(mode=0o711)
        (folder / "secrets" / "token").write_text(CANARY)
        (folder / "secrets" / "token").chmod(0o600)
        yield folder


@pytest.fixture
def api() -> Iterator[FakeApi]:
    with running_api() as api:
        yield api


@pytest.mark.parametrize("level", levels.LEVELS)
def test_a_job_finds_no_token_of_its_worker(api: FakeApi, passable: Path, level: str) -> None:
    if why_not := why_impossible(level):
        pytest.skip(why_not)
    file = passable / "secrets" / "token"
    api.offer(f"#!{python()} -IS\n{SPY}", file)
    settings = {
        **{"API_URL": api.url, "API_TOKEN": CANARY, "API_TOKEN_FILE": str(file), "ISOLATION": level, "SLOTS": "1"},
        **{"CACHE_DIR": str(passable / "cache"), "SPOOL_DIR": str(passable / "spool")},
    }
    worker = Service.start(["worker.py", "--once"], passable, "worker", settings)
    try:
        assert worker.wait() == 0, worker.log.read_text()
    finally:
        worker.kill_whole()
    verb, report = api.only_report()
    assert verb == "complete", report
    found, looked_at = json.loads(report["stdout"])
    # At the level `none` a job is the worker's own user, whose files it may read. The documentation says so.
    assert found == (["the file"] if level == "none" else [])
    assert looked_at > 3
    assert not worker.logged("c" * 43)
    assert {request.headers["Authorization"] for request in api.server.requests if "program" not in request.path} == {
        f"Bearer {CANARY}"
    }
    assert [request for request in api.seen("program") if "Authorization" in request.headers] == []
