"""A job outlives its attempt, or attacks its worker: the worker goes on, and nothing of the job is left."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.support.deployment import Deployment, deployed, running_host
from tests.support.processes import alive, wait_for_pids, wait_until_gone
from tests.support.programs import PYTHON, SHELL
from tests.support.service import Service
from tests.support.serving import standing_api
from tests.support.waiting import wait_until

WORKER = """
import ctypes, os, sys
CLONE_NEWNS, MS_REC, MS_PRIVATE = 0x20000, 0x4000, 0x40000
libc = ctypes.CDLL(None)
disk = os.fsencode(os.environ["TMPDIR"])
if not libc.unshare(CLONE_NEWNS) and not libc.mount(None, b"/", None, MS_REC | MS_PRIVATE, None):
    if not libc.mount(b"tmpfs", disk, b"tmpfs", 0, b"size=24m,mode=700"):
        print("small disk", flush=True)
os.execv(sys.executable, [sys.executable, "worker.py"])
"""
"""Starts a worker. If it can have one, all files are on a small disk of its own, which ends with it.
"""

BOMB = (
    PYTHON
    + """
import os, signal, sys, time
def note(line):
    with open(sys.argv[1], "a") as file:
        file.write(line)
def flee():
    # Each process lives for a moment, and its child goes on in a session of its own.
    end = time.monotonic() + 20
    note("there\\n")
    while time.monotonic() < end:
        if os.fork():
            os._exit(0)
        os.setsid()
        with open(sys.argv[2], "a") as file:
            file.write(".")
    os._exit(0)
def multiply(generations):
    for _ in range(generations):
        os.fork()
    if os.fork() == 0:
        os.setsid()
    note("there\\n")
    for number in set(signal.Signals) - {signal.SIGKILL, signal.SIGSTOP}:
        signal.signal(number, signal.SIG_IGN)
    time.sleep(20)
    os._exit(0)
note("")
for _ in range(4):
    if os.fork() == 0:
        flee()
if os.fork() == 0:
    multiply(6)
while open(sys.argv[1]).read().count("\\n") < 4 + 128 or not os.path.exists(sys.argv[2]):
    time.sleep(0.02)
print("boom")
"""
)
"""A bomb that goes off once: 128 processes that ignore every signal, half of them in sessions of their own, and four
that go on forking away and say so in a second file. The leader ends when all are there. What escapes would end after
twenty seconds.
"""


KILLER = (
    SHELL
    + """
setsid sh -c 'echo $$ >> "$1"; trap "" TERM HUP; sleep 20' daemon "$1" &
while [ ! -s "$1" ]; do sleep 0.01; done
echo $$ >> "$1"
kill -KILL $PPID
sleep 20
"""
)
"""Starts a daemon, kills the process that looks after it, and goes on."""

FILLER = (
    PYTHON
    + """
import errno, os
try:
    with open("filler", "wb", buffering=0) as file:
        while file.write(bytes(2**20)) and file.tell() < 2**28:
            pass
except OSError as error:
    print(errno.errorcode[error.errno])
"""
)


@pytest.fixture(scope="module")
def deployment() -> Iterator[Deployment]:
    """A deployment whose jobs get one attempt."""
    with (
        tempfile.TemporaryDirectory(prefix="jq-") as folder,
        standing_api(WEB_CONCURRENCY="1", MAX_ATTEMPTS="1") as api,
        running_host() as (host, programs),
        deployed(api, host, programs, Path(folder)) as everything,
    ):
        yield everything


@pytest.fixture(scope="module")
def worker(deployment: Deployment) -> Service:
    """The worker that all jobs attack."""
    folder = deployment.folder
    settings = {"API_URL": deployment.api.url, "EXECUTOR_ID": "worker", "SLOTS": "1", "KILL_GRACE_SECONDS": "0.2"}
    directories = {"CACHE_DIR": str(folder / "worker.tmp/cache"), "SPOOL_DIR": str(folder / "worker.tmp/spool")}
    service = Service.start(["-c", WORKER], folder, "worker", settings | directories)
    deployment.workers.append(service)
    wait_until("the worker claims", lambda: service.logged("event=worker_started"))
    return service


def processes_with(word: Path) -> list[int]:
    """Return the processes that have this path among their arguments."""
    found = []
    for name in filter(str.isdigit, os.listdir("/proc")):
        with suppress(OSError):
            if os.fsencode(word) in Path(f"/proc/{name}/cmdline").read_bytes() and alive(int(name)):
                found.append(int(name))
    return found


def assert_works(deployment: Deployment, worker: Service) -> None:
    """Check that the worker still runs, and runs the next job as any other."""
    ended = deployment.wait_for(deployment.submit(SHELL + "echo well"), "completed", "failed")
    assert (ended["stdout"], ended["executor_id"]) == ("well\n", "worker"), ended
    assert worker.process.poll() is None


def test_nothing_of_a_fork_bomb_survives_its_attempt(deployment: Deployment, worker: Service, tmp_path: Path) -> None:
    there, fleeing = tmp_path / "there", tmp_path / "fleeing"
    job_id = deployment.submit(BOMB, there, fleeing)
    ended = deployment.wait_for(job_id, "completed", "failed")
    assert (ended["status"], ended["stdout"]) == ("completed", "boom\n"), ended
    assert processes_with(there) == []
    size = fleeing.stat().st_size
    assert size > 0
    assert_works(deployment, worker)
    assert fleeing.stat().st_size == size
    assert processes_with(there) == []


def test_a_job_that_kills_its_parent_ends_with_it(deployment: Deployment, worker: Service, tmp_path: Path) -> None:
    deployment.submit(KILLER, tmp_path / "pids")
    wait_until_gone(wait_for_pids(tmp_path / "pids", 2))
    assert_works(deployment, worker)
    assert processes_with(tmp_path) == []


def test_a_job_that_fills_the_disk_takes_it_from_no_other(deployment: Deployment, worker: Service) -> None:
    if not worker.logged("small disk"):
        pytest.skip("this user cannot make a small disk")
    for _ in range(2):
        ended = deployment.wait_for(deployment.submit(FILLER), "completed", "failed")
        assert (ended["status"], ended["stdout"]) == ("completed", "ENOSPC\n"), ended
    assert_works(deployment, worker)
