"""The worker's entry point: what it says when it ends, its exit code, and what it makes of what it inherits."""

from __future__ import annotations

import errno
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from jobqueue.worker import command_line, lifecycle
from tests.support.deployment import own_directories
from tests.support.fake_api import FakeApi
from tests.support.paths import PATH, ROOT
from tests.support.processes import alive, children, state, wait_for_pids
from tests.support.programs import SHELL, WITH_ORPHANS
from tests.support.service import Service
from tests.support.waiting import wait_until


def test_a_worker_that_gives_up_on_the_api_says_so_and_asks_for_another_try(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(*_: object) -> None:
        raise lifecycle.GaveUp

    monkeypatch.setattr(lifecycle, "run", run)
    monkeypatch.setattr("jobqueue.worker.shutdown.Shutdown.listen", lambda _: None)
    monkeypatch.setattr("jobqueue.logs.install", lambda: None)
    monkeypatch.setattr("sys.argv", ["worker.py", "--burst"])
    monkeypatch.setenv("API_URL", "http://user:canary@host/api/v1")
    assert command_line.run() == 75
    assert capsys.readouterr().err == "The API at http://host/api/v1 has not answered for a minute.\n"


IGNORED_AND_BLOCKED = """
import os, signal, sys
for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
    signal.signal(number, signal.SIG_IGN)
signal.pthread_sigmask(signal.SIG_SETMASK, signal.valid_signals())
"""
TWENTY_CHILDREN = """
import os, sys
for _ in range(20):
    os.posix_spawn("/bin/sh", ["sh", "-c", "sleep 0.1"], {})
"""
NO_PIDFDS = """
import ctypes, os, struct, sys
ALLOW, ERRNO, LOAD, JUMP_IF_EQUAL, RETURN = 0x7FFF0000, 0x00050000, 0x20, 0x15, 0x06
refused = [424, 434]  # pidfd_send_signal, pidfd_open
steps = [(LOAD, 0, 0, 0)]
steps += [(JUMP_IF_EQUAL, len(refused) - i, 0, number) for i, number in enumerate(refused)]
steps += [(RETURN, 0, 0, ALLOW), (RETURN, 0, 0, ERRNO | int(sys.argv.pop(1)))]
filters = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *step) for step in steps))
program = struct.pack("@HP", len(steps), ctypes.addressof(filters))
libc = ctypes.CDLL(None, use_errno=True)
assert libc.prctl(38, 1, 0, 0, 0) == 0
assert libc.prctl(22, 2, program, 0, 0) == 0, ctypes.get_errno()
"""
"""Refuses these calls with an error, as the seccomp profiles of some sandboxes do."""

BECOME_THE_WORKER = "os.execv(sys.executable, [sys.executable, 'worker.py', *sys.argv[1:]])"


def test_a_worker_runs_jobs_whatever_signals_the_process_that_started_it_ignored(api: FakeApi, tmp_path: Path) -> None:
    api.offer(SHELL + "grep -E '^Sig(Blk|Ign)' /proc/self/status; exit 3")
    command = [sys.executable, "-c", IGNORED_AND_BLOCKED + BECOME_THE_WORKER, "--burst"]
    environment = {"PATH": PATH, "API_URL": api.url, **own_directories(tmp_path)}
    assert subprocess.run(command, cwd=ROOT, env=environment, timeout=60, check=False).returncode == 0
    verb, report = api.only_report()
    assert (verb, report["exit_code"]) == ("fail", 3)
    masks = report["stdout"].splitlines()
    of_the_c_library = 1 << 31 | 1 << 32
    assert [int(line.split()[1], 16) & ~of_the_c_library for line in masks] == [0, 0]


def test_a_worker_reaps_what_nobody_waits_for_and_drains_when_its_terminal_is_closed(tmp_path: Path) -> None:
    """As the first process of a container, it becomes the parent of every orphan there."""
    settings = {"API_URL": "http://127.0.0.1:1/api/v1", "SLOTS": "1", **own_directories(tmp_path)}
    worker = Service.start(["-c", TWENTY_CHILDREN + BECOME_THE_WORKER], tmp_path, "worker", settings)
    try:
        wait_until("the worker has started", lambda: worker.logged("event=worker_started"))
        wait_until("only its supervisor is left", lambda: len(children(worker.pid)) == 1, 20)
        assert state(children(worker.pid)[0]) != "Z"
        worker.process.send_signal(signal.SIGHUP)
        assert worker.wait() == 0
    finally:
        worker.kill_whole()


NO_THREADS = "import threading; threading.Thread.start = lambda _: exec('raise RuntimeError(\"no more threads\")')"
NO_PROCESSES = "import subprocess; subprocess._fork_exec = lambda *_: exec('raise BlockingIOError(11, \"no more\")')"


@pytest.mark.parametrize("lack", [NO_THREADS, NO_PROCESSES])
def test_a_worker_without_threads_or_processes_for_its_start_says_so_in_a_sentence(tmp_path: Path, lack: str) -> None:
    """The limit itself (ulimit -u) does not hold for root, who may run this test."""
    command = [sys.executable, "-c", f"import runpy, sys\n{lack}\nrunpy.run_path('worker.py', run_name='__main__')"]
    environment = {"PATH": PATH, "API_URL": "http://127.0.0.1:1/api/v1", **own_directories(tmp_path)}
    ended = subprocess.run(command, cwd=ROOT, env=environment, timeout=60, check=False, capture_output=True, text=True)
    assert ended.returncode == 1
    (line,) = ended.stderr.splitlines()
    assert line.startswith("The worker cannot start its processes and threads on this host now: no more")


@pytest.mark.parametrize("error", [errno.ENOSYS, errno.EPERM])
def test_a_worker_runs_jobs_in_a_sandbox_that_refuses_pidfds(api: FakeApi, tmp_path: Path, error: int) -> None:
    api.offer(WITH_ORPHANS, tmp_path / "pids", 0)
    command = [sys.executable, "-c", NO_PIDFDS + BECOME_THE_WORKER, str(error), "--burst"]
    environment = {"PATH": PATH, "API_URL": api.url, **own_directories(tmp_path)}
    assert subprocess.run(command, cwd=ROOT, env=environment, timeout=60, check=False).returncode == 0
    verb, report = api.only_report()
    assert (verb, report["exit_code"]) == ("complete", 0)
    assert not any(map(alive, wait_for_pids(tmp_path / "pids", 5)))
