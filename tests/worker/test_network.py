"""A worker process and its network: it lives through an API that resets, and says at start what is wrong."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.support.deployment import own_directories
from tests.support.fake_api import FakeApi
from tests.support.hosts import reset_when_closed
from tests.support.programs import SHELL
from tests.support.service import Service
from tests.support.silencing import Way
from tests.support.waiting import wait_until


def start(folder: Path, **variables: str) -> Service:
    return Service.start(["worker.py"], folder, "worker", {**own_directories(folder), "SLOTS": "1", **variables})


@contextmanager
def resetting_at_first(api_url: str, resets: int) -> Iterator[str]:
    """A way to the API that resets the first connections as soon as it has accepted them; yields its URL."""
    way, over = Way(api_url), threading.Event()

    def lead(connection: socket.socket) -> None:
        with connection, suppress(OSError):
            way.lead(connection, over)

    def accept(listener: socket.socket) -> None:
        for _ in range(resets):  # in this very thread, so that the reset is there before the request
            connection, _ = listener.accept()
            reset_when_closed(connection)
            connection.close()
        with suppress(OSError):
            while True:
                connection, _ = listener.accept()
                threading.Thread(target=lead, args=(connection,), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=accept, args=(listener,), daemon=True).start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        over.set()
        listener.shutdown(socket.SHUT_RDWR)


def test_a_worker_lives_through_an_api_that_accepts_and_resets(api: FakeApi, tmp_path: Path) -> None:
    """As a balancer without a back end does. The job is run once the API is back."""
    api.offer(SHELL + "echo done")
    with resetting_at_first(api.url, resets=4) as url:
        worker = start(tmp_path, API_URL=url)
        try:
            wait_until("the job is reported", lambda: worker.process.poll() is not None or len(api.reports()) == 1)
            assert worker.process.poll() is None, worker.log.read_text()
        finally:
            worker.kill_whole()
    assert "event=api_away" in worker.log.read_text()
    assert "Traceback" not in worker.log.read_text()
    assert api.only_report()[1]["stdout"] == "done\n"


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("CA_FILE", "/etc/passwd", "holds no certificate"),
        ("CA_FILE", "/nowhere/ca.pem", "cannot be read: No such file or directory"),
        ("ALL_PROXY", "socks5://proxy:1080", "not supported"),
    ],
)
def test_a_worker_that_cannot_use_its_network_says_so_in_a_sentence(
    tmp_path: Path, name: str, value: str, words: str
) -> None:
    worker = start(tmp_path, **{name: value})
    assert worker.wait() == 1
    (line,) = worker.log.read_text().splitlines()
    assert line.startswith(name)
    assert words in line
