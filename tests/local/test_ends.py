"""However the launcher ends, nothing of it stays, and what keeps it from starting is said in a sentence."""

from __future__ import annotations

import hashlib
import os
import re
import signal
import socket
import subprocess
from contextlib import closing
from pathlib import Path

import pytest

from jobqueue.client.jobs import Jobs
from jobqueue.client.transport import Transport
from jobqueue.local.run import free_port
from tests.support.fake_server import Reply, serving
from tests.support.launcher import RUN, START_SECONDS, launched, make_directory, run_once, running
from tests.support.processes import alive, signal_all, wait_for_pids, wait_until_gone
from tests.support.programs import FOREVER
from tests.support.waiting import wait_until


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return make_directory(tmp_path)


def test_a_killed_launcher_takes_everything_with_it_and_frees_its_data(directory: Path) -> None:
    with running(directory) as launcher:
        processes = launcher.processes()
        launcher.process.kill()
        try:
            wait_until_gone(processes, 30)
        finally:
            signal_all(filter(alive, processes), signal.SIGKILL)
    with running(directory) as second:
        assert second.stop() == 0


def test_a_second_signal_hurries_a_launcher_whose_output_nobody_reads(directory: Path, tmp_path: Path) -> None:
    program = FOREVER.encode()
    reads, writes = os.pipe()
    more = {"ISOLATION": "none", "DRAIN_SECONDS": "100"}
    with serving(lambda _: Reply(body=program)) as host, launched(directory, writes, tmp_path, more) as launcher:
        os.close(writes)
        wait_until("the API is healthy", launcher.healthy, START_SECONDS)
        os.close(reads)
        with closing(Transport(launcher.api_url)) as transport:
            Jobs(transport).submit(
                {
                    "type": "demo",
                    "binary_url": host.url,
                    "binary_sha256": hashlib.sha256(program).hexdigest(),
                    "arguments": [str(tmp_path / "pids")],
                    "priority": "foreground",
                }
            )
        wait_for_pids(tmp_path / "pids", 1)
        processes = launcher.processes()
        launcher.process.send_signal(signal.SIGINT)
        with pytest.raises(subprocess.TimeoutExpired):
            launcher.process.wait(1)
        launcher.process.send_signal(signal.SIGINT)
        assert launcher.process.wait(30) == 0
    assert not any(map(alive, processes))


def test_data_that_cannot_be_kept_is_a_sentence(directory: Path) -> None:
    (directory / ".data").write_text("not a directory")
    ended = run_once(directory, RUN, free_port())
    assert (ended.returncode, ended.stdout) == (1, "")
    assert re.fullmatch(r"The data cannot be kept in \S+/\.data/ \(.*\): .*\.\n", ended.stderr)


def test_a_port_that_is_only_reserved_is_a_sentence(directory: Path) -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        ended = run_once(directory, RUN, holder.getsockname()[1])
    assert (ended.returncode, ended.stdout) == (1, "")
    assert re.fullmatch(r"Port \d+ is in use\. .*\n", ended.stderr)
