"""The launcher: everything on one machine with one command, and nothing left running afterwards."""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
import signal
import socket
import sys
from asyncio.subprocess import PIPE
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
import requests

from jobqueue.client.jobs import Jobs
from jobqueue.client.transport import Transport
from jobqueue.local.program import STOP_SECONDS, print_lines
from jobqueue.local.run import WEB, WORKER, free_port
from jobqueue.worker import config
from jobqueue.worker.lifecycle import AFTER_DRAIN_SECONDS
from tests.support.fake_server import Reply, serving
from tests.support.launcher import DEMO, RUN, TEMPORARY, Running, make_directory, run_once, running
from tests.support.processes import alive, wait_for_pids
from tests.support.programs import FOREVER
from tests.support.waiting import wait_until

PREFIX = r"(run   |redis |web   |worker) \| .*"
JOB = {"type": "demo", "priority": "foreground"}
LISTENING = "0A"
LOOPBACK = "0100007F"
"""A state and an address as /proc/net/tcp writes them."""


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return make_directory(tmp_path)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A launcher for all tests that do not change it."""
    with running(make_directory(tmp_path_factory.mktemp("shared"))) as launcher:
        yield launcher


class TestWhileItRuns:
    """A launcher that stays up."""

    def test_every_line_has_the_prefix_of_its_program(self, shared: Running) -> None:
        lines = shared.lines()
        assert [line for line in lines if not re.fullmatch(PREFIX, line)] == []
        assert {line[:6].strip() for line in lines} >= {"run", "web", "worker"}
        assert any(shared.api_url in line for line in lines)
        assert any("You are root" in line for line in lines) == (os.geteuid() == 0)

    def test_the_demo_shows_a_job_from_its_start_to_its_output(self, shared: Running) -> None:
        demo = run_once(shared.directory, DEMO, shared.port)
        assert (demo.returncode, demo.stderr) == (0, "")
        assert " is completed on " in demo.stdout
        assert "Hello, world! I was called with: one two words\nstep 1\nstep 2\nstep 3\n" in demo.stdout
        assert demo.stdout.endswith("--- stderr\nThis is standard error.\n--- exit code 0\n")

    def test_a_demo_with_a_wrong_path_in_the_url_asks_for_the_right_one(self, shared: Running) -> None:
        demo = run_once(shared.directory, DEMO, shared.port, API_URL=f"http://127.0.0.1:{shared.port}")
        assert (demo.returncode, demo.stdout) == (1, "")
        assert re.fullmatch(rf"http://127\.0\.0\.1:{shared.port} is not the API .*/api/v1\?\)\n", demo.stderr)

    def test_the_api_and_the_store_listen_on_loopback_only(self, shared: Running) -> None:
        """There is no authentication: whoever reaches the API runs programs here."""
        sockets = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
        addresses = [address for _, address, _, state, *_ in sockets if state == LISTENING]
        port = f":{shared.port:04X}"
        assert [address for address in addresses if address.endswith(port)] == [LOOPBACK + port]
        command = Path(f"/proc/{shared.find('valkey-server')}/cmdline").read_text()
        assert "127.0.0.1" in command

    def test_the_metrics_count_the_requests_of_all_processes(self, shared: Running) -> None:
        """They do only if gunicorn's settings are made before prometheus_client is imported."""
        with closing(Transport(shared.api_url)) as transport, pytest.raises(Exception, match="404"):
            Jobs(transport).get("00000000-0000-4000-8000-000000000000")
        counts = {self.not_found(shared) for _ in range(20)}
        assert counts == {"1.0"}

    @staticmethod
    def not_found(launcher: Running) -> str:
        text = requests.get(f"{launcher.api_url}/metrics", timeout=5).text
        return next(line.split()[-1] for line in text.splitlines() if "_total{" in line and '"404"' in line)

    def test_a_port_in_use_is_refused_in_one_sentence(self, shared: Running, directory: Path) -> None:
        second = run_once(directory, RUN, shared.port)
        assert (second.returncode, second.stdout) == (1, "")
        assert re.fullmatch(rf"Port {shared.port} is in use\. .*\n", second.stderr)

    def test_a_second_launcher_in_the_same_directory_is_refused_in_one_sentence(self, shared: Running) -> None:
        second = run_once(shared.directory, RUN, free_port())
        assert (second.returncode, second.stdout) == (1, "")
        assert re.fullmatch(r"\.data/ is in use by another run\. .*\n", second.stderr)

    def test_a_second_launcher_with_redis_url_is_not_refused_and_starts_no_server(
        self, shared: Running, redis_url: str
    ) -> None:
        with running(shared.directory, {"REDIS_URL": redis_url}) as second:
            assert second.healthy()
            with pytest.raises(AssertionError):
                second.find("valkey-server")
            assert not any(line.startswith("redis") for line in second.lines())
            assert second.stop() == 0


def test_a_stopped_launcher_leaves_no_process_and_keeps_its_data(directory: Path) -> None:
    with running(directory) as launcher, closing(Transport(launcher.api_url)) as transport:
        processes = launcher.processes()
        launcher.find(WORKER)
        job_id = Jobs(transport).submit(JOB | {"binary_url": "http://127.0.0.1:1/", "binary_sha256": "ab" * 32})
        assert launcher.stop(signal.SIGHUP) == 0
    assert len(processes) >= 7
    assert_nothing_is_left_but_data(launcher, processes, job_id)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_job_that_ignores_signals_does_not_keep_the_launcher(
    directory: Path, tmp_path: Path, number: signal.Signals
) -> None:
    program = FOREVER.encode()
    about = {"binary_sha256": hashlib.sha256(program).hexdigest(), "arguments": [str(tmp_path / "pids")]}
    with serving(lambda _: Reply(body=program)) as host, running(directory, {"ISOLATION": "none"}) as launcher:
        with closing(Transport(launcher.api_url)) as transport:
            job_id = Jobs(transport).submit(JOB | about | {"binary_url": host.url})
        (job,) = wait_for_pids(tmp_path / "pids", 1)
        processes = launcher.processes()
        assert job in processes
        assert launcher.stop(number) == 0
    assert_nothing_is_left_but_data(launcher, processes, job_id)


def assert_nothing_is_left_but_data(launcher: Running, processes: list[int], job_id: str) -> None:
    """Check that a launcher has stopped without a complaint, and that the job is in its data."""
    assert not any(map(alive, processes))
    data = (launcher.directory / ".data").rglob("*.aof")
    assert any(job_id in path.read_text(errors="replace") for path in data)
    assert list((launcher.directory / TEMPORARY).iterdir()) == []
    assert "Traceback" not in "".join(launcher.lines())


def test_the_api_stays_up_when_the_worker_ends(directory: Path) -> None:
    with running(directory) as launcher:
        os.kill(launcher.find(WORKER), signal.SIGKILL)
        wait_until("the end is reported", lambda: launcher.printed("worker was killed by SIGKILL"))
        wait_until("the next step is named", lambda: launcher.printed(f"-m {WORKER}"))
        assert launcher.healthy()
        processes = launcher.processes()
        assert launcher.stop() == 0
    assert not any(map(alive, processes))


@pytest.mark.parametrize(
    ("name", "word", "number", "end"),
    [
        ("web", WEB, signal.SIGTERM, "ended with code 0"),
        ("redis", "valkey-server", signal.SIGKILL, "was killed by SIGKILL"),
    ],
)
def test_a_launcher_stops_everything_when_the_api_or_the_store_ends(
    directory: Path, name: str, word: str, number: signal.Signals, end: str
) -> None:
    with running(directory) as launcher:
        processes = launcher.processes()
        os.kill(launcher.find(word), number)
        assert launcher.process.wait(60) == 1
    assert launcher.printed(f"{name} {end}")
    assert not any(map(alive, processes))


@pytest.mark.parametrize(
    ("variable", "value"),
    [("PORT", "abc"), ("PORT", "0"), ("REDIS_URL", "http://host"), ("MAX_ATTEMPTS", "0"), ("SLOTS", "0")],
)
def test_a_wrong_setting_is_refused_in_one_sentence_before_anything_starts(
    directory: Path, variable: str, value: str
) -> None:
    ended = run_once(directory, RUN, free_port(), **{variable: value})
    assert (ended.returncode, ended.stdout) == (1, "")
    assert re.fullmatch(rf"{variable} is '{re.escape(value)}', but must be .*\.\n", ended.stderr)


def test_a_demo_without_an_api_names_the_next_step(directory: Path) -> None:
    port = free_port()
    demo = run_once(directory, DEMO, port)
    assert (demo.returncode, demo.stdout) == (1, "")
    assert re.fullmatch(rf"\S*:{port}/\S* is not available: \w.*\. .*make run.*\n", demo.stderr)


def test_a_port_in_use_leaves_no_data_behind(directory: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        ended = run_once(directory, RUN, server.getsockname()[1])
    assert ended.stderr.startswith("Port ")
    assert not (directory / ".data").exists()


def test_the_worker_has_all_the_time_that_it_may_need_to_stop() -> None:
    assert STOP_SECONDS["worker"] > config.load({}).drain_seconds + AFTER_DRAIN_SECONDS


def test_the_lines_after_a_very_long_line_are_printed(capsys: pytest.CaptureFixture[str]) -> None:
    async def run() -> None:
        program = "print('x' * 100_000); print('end')"
        process = await asyncio.create_subprocess_exec(sys.executable, "-c", program, stdout=PIPE)
        try:
            await print_lines("web", process)
        finally:
            await process.communicate()

    asyncio.run(run())
    assert capsys.readouterr().out.endswith("web    | end\n")
