"""Everything on one machine, with one command, and gone without a rest."""

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

from jobqueue.client.jobs import Jobs
from jobqueue.client.transport import Transport
from jobqueue.local.run import STOP_SECONDS, _print_lines
from jobqueue.worker import config
from jobqueue.worker.lifecycle import ENDING_SECONDS
from tests.support.deployment import free_port
from tests.support.fake_server import Reply, serving
from tests.support.launcher import Running, copy_project, run_once, running
from tests.support.processes import alive, wait_for_pids
from tests.support.programs import FOREVER
from tests.support.redis_server import running_redis
from tests.support.waiting import wait_until

PREFIX = r"(run   |redis |web   |worker) \| .*"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return copy_project(tmp_path)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Running for all tests that leave it as it is."""
    with running(copy_project(tmp_path_factory.mktemp("shared"))) as everything:
        yield everything


class TestWhileItRuns:
    """What can be seen of it."""

    def test_every_line_says_who_prints_it(self, shared: Running) -> None:
        lines = shared.lines()
        assert [line for line in lines if not re.fullmatch(PREFIX, line)] == []
        assert {line[:6].strip() for line in lines} >= {"run", "web", "worker"}
        assert any(shared.api_url in line for line in lines)

    def test_the_demo_shows_a_job_from_its_start_to_its_output(self, shared: Running) -> None:
        demo = run_once(shared.project, "demo", shared.port)
        assert (demo.returncode, demo.stderr) == (0, "")
        assert " is completed on " in demo.stdout
        assert "Hello, world! I was called with: one two words\nstep 1\nstep 2\nstep 3\n" in demo.stdout
        assert demo.stdout.endswith("--- stderr\nThis is standard error.\n--- exit code 0\n")

    def test_it_is_reached_from_this_machine_alone(self, shared: Running) -> None:
        """There is no authentication: whoever reaches the API runs programs here."""
        listening = "0A"
        sockets = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
        found = [address for _, address, _, state, *_ in sockets if state == listening]
        assert [address for address in found if address.endswith(f":{shared.port:04X}")] == [
            f"0100007F:{shared.port:04X}"
        ]
        command = Path(f"/proc/{shared.find('valkey-server')}/cmdline").read_text()
        assert "127.0.0.1" in command

    def test_a_port_that_is_taken_is_told_in_one_sentence(self, shared: Running, project: Path) -> None:
        again = run_once(project, "run", shared.port)
        assert (again.returncode, again.stdout) == (1, "")
        assert again.stderr == f"Port {shared.port} is taken. Choose another: PORT=8081 make run\n"

    def test_a_second_one_in_the_same_folder_is_refused_in_one_sentence(self, shared: Running) -> None:
        again = run_once(shared.project, "run", free_port())
        assert (again.returncode, again.stdout) == (1, "")
        assert re.fullmatch(r"Another `make run` uses \.data/ already\. .*\n", again.stderr)

    def test_a_second_one_with_a_redis_of_its_own_is_not_refused(self, shared: Running, redis_url: str) -> None:
        with running(shared.project, {"REDIS_URL": redis_url}) as another:
            assert another.healthy()
            assert another.stop() == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_asked_to_stop_it_leaves_no_process_and_keeps_its_data(project: Path, number: signal.Signals) -> None:
    with running(project) as everything, closing(Transport(everything.api_url)) as transport:
        everybody = everything.everybody()
        everything.find("worker.py")
        job = {
            "type": "demo",
            "binary_url": "http://127.0.0.1:1/",
            "binary_sha256": "ab" * 32,
            "priority": "foreground",
        }
        job_id = Jobs(transport).submit(job)
        assert everything.stop(number) == 0
    assert len(everybody) >= 7
    assert not any(map(alive, everybody))
    assert any(job_id in path.read_text(errors="replace") for path in (project / ".data").rglob("*.aof"))
    assert list((project / "tmp").iterdir()) == []
    assert "Traceback" not in "".join(everything.lines())


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_job_that_does_not_want_to_end_does_not_keep_it(
    project: Path, tmp_path: Path, number: signal.Signals
) -> None:
    program = FOREVER.encode()
    with serving(lambda _: Reply(body=program)) as host, running(project) as everything:
        with closing(Transport(everything.api_url)) as transport:
            Jobs(transport).submit(
                {
                    "type": "demo",
                    "binary_url": host.url,
                    "binary_sha256": hashlib.sha256(program).hexdigest(),
                    "arguments": [str(tmp_path / "pids")],
                    "priority": "foreground",
                }
            )
        (job,) = wait_for_pids(tmp_path / "pids", 1)
        everybody = everything.everybody()
        assert job in everybody
        assert everything.stop(number) == 0
    assert not any(map(alive, everybody))


def test_with_a_redis_of_ones_own_none_is_started(project: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = Path("/tmp") / f"jq-{os.getpid()}-{free_port()}"  # short enough for a socket
    folder.mkdir()
    with running_redis(folder) as url, running(project, {"REDIS_URL": url}) as everything:
        with pytest.raises(AssertionError):
            everything.find("valkey-server")
        assert not any(line.startswith("redis") for line in everything.lines())
        assert everything.stop() == 0
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()


def test_the_queue_goes_on_without_its_worker(project: Path) -> None:
    with running(project) as everything:
        os.kill(everything.find("worker.py"), signal.SIGKILL)
        wait_until("it is told", lambda: everything.printed("worker ended with code -9"))
        wait_until("what to do next is told", lambda: everything.printed("start another"))
        assert everything.healthy()
        everybody = everything.everybody()
        assert everything.stop() == 0
    assert not any(map(alive, everybody))


@pytest.mark.parametrize(
    ("name", "word", "number", "code"),
    [("web", "gunicorn", signal.SIGTERM, 0), ("redis", "valkey-server", signal.SIGKILL, -9)],
)
def test_without_api_or_store_all_end(project: Path, name: str, word: str, number: signal.Signals, code: int) -> None:
    with running(project) as everything:
        everybody = everything.everybody()
        os.kill(everything.find(word), number)
        assert everything.process.wait(60) == 1
    assert everything.printed(f"{name} ended with code {code}")
    assert not any(map(alive, everybody))


@pytest.mark.parametrize(
    ("variable", "value"), [("PORT", "abc"), ("PORT", "0"), ("REDIS_URL", "http://host"), ("MAX_ATTEMPTS", "0")]
)
def test_a_wrong_setting_is_told_in_one_sentence_before_anything_starts(
    project: Path, variable: str, value: str
) -> None:
    ended = run_once(project, "run", free_port(), **{variable: value})
    assert (ended.returncode, ended.stdout) == (1, "")
    assert re.fullmatch(rf"{variable} is '{re.escape(value)}', but must be .*\.\n", ended.stderr)


def test_a_demo_without_an_api_says_what_to_do(project: Path) -> None:
    demo = run_once(project, "demo", free_port())
    assert (demo.returncode, demo.stdout) == (1, "")
    assert re.fullmatch(r"No API answers at .*\. Start it in another terminal: make run\n", demo.stderr)


def test_a_port_that_is_taken_is_left_alone(project: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        ended = run_once(project, "run", taken.getsockname()[1])
    assert ended.stderr.startswith("Port ")
    assert not (project / ".data").exists()


def test_a_worker_is_given_all_the_time_that_it_may_need_to_end() -> None:
    assert STOP_SECONDS["worker"] > config.load({}).drain_seconds + ENDING_SECONDS


def test_a_very_long_line_is_printed_too(capsys: pytest.CaptureFixture[str]) -> None:
    async def run() -> None:
        program = "print('x' * 100_000); print('end')"
        process = await asyncio.create_subprocess_exec(sys.executable, "-c", program, stdout=PIPE)
        try:
            await _print_lines("web", process)
        finally:
            await process.communicate()

    asyncio.run(run())
    assert capsys.readouterr().out.endswith("web    | end\n")
