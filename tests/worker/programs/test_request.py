"""What one GET sends, and what it leaves behind: no secrets in the log, no open connection, one TLS context."""

from __future__ import annotations

import socket
import ssl
import threading
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from jobqueue.worker.programs.download import Downloader
from jobqueue.worker.programs.errors import DownloadFailed
from jobqueue.worker.programs.policy import DownloadRules
from tests.support.downloads import PROGRAM, fetch, sha256_of
from tests.support.fake_server import Reply
from tests.support.hosts import is_connected, misbehaving
from tests.support.tls import needs_openssl, serving_tls

pytestmark = pytest.mark.usefixtures("short_pauses")

REQUEST = """GET {target} HTTP/1.1
Host: {host}
User-Agent: jobqueue
Accept: */*
Accept-Encoding: identity
Connection: close
{more}
"""


class Host:
    """Sends one answer to everybody, and remembers what came first on each connection, and from which port."""

    def __init__(self, answer: bytes) -> None:
        self._answer = answer
        self.requests: list[bytes] = []
        self.ports: list[int] = []

    def __call__(self, connection: socket.socket, over: threading.Event) -> None:
        self.requests.append(connection.recv(65536))
        self.ports.append(connection.getpeername()[1])
        connection.sendall(self._answer)
        over.wait()


EMPTY = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


@pytest.mark.parametrize(
    ("url", "target", "host", "more"),
    [
        ("http://127.0.0.1:{port}", "/", "127.0.0.1:{port}", ""),
        ("http://LOCALHOST.:{port}/a b?q=ü&x=%7e#part", "/a%20b?q=%C3%BC&x=%7E", "localhost:{port}", ""),
        ("http://127.0.0.1:{port}?x", "/?x", "127.0.0.1:{port}", ""),
        ("http://127.0.0.1:{port}/a/../%2f%zz", "/%252F%25zz", "127.0.0.1:{port}", ""),
        ("http://u%25:p@localhost:{port}/a", "/a", "localhost:{port}", "Authorization: Basic dSU6cA==\n"),
    ],
)
def test_a_request_is_sent_to_the_byte(path: Path, url: str, target: str, host: str, more: str) -> None:
    served = Host(EMPTY)
    with misbehaving(served) as base:
        port = base.rpartition(":")[2]
        fetch(url.format(port=port), path, b"")
    request = REQUEST.format(target=target, host=host.format(port=port), more=more)
    assert served.requests == [request.replace("\n", "\r\n").encode()]


BAD_ANSWERS = {
    "two lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 5, 6\r\n\r\nabcdef",
    "negative chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\nabc",
    "bad chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcde\r\n0\r\n\r\n",
    "long chunk size": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"0" * 100_000 + b"\r\nabc",
    "not http": b"SSH-2.0-OpenSSH_9.2\r\n",
    "not found": b"HTTP/1.1 404 Not Found\r\nContent-Length: 1000000\r\n\r\nabc",
}


@pytest.mark.parametrize("answer", BAD_ANSWERS.values(), ids=BAD_ANSWERS)
def test_a_bad_answer_fails_at_once_and_its_connection_is_closed(path: Path, answer: bytes) -> None:
    """The error, and with it all that it refers to, is kept from the garbage collector meanwhile."""
    served = Host(answer)
    with misbehaving(served) as url, pytest.raises(DownloadFailed) as caught:
        fetch(url, path)
    assert "ended early" not in str(caught.value)
    assert [is_connected(port, urlsplit(url).port or 0) for port in served.ports] == [False]


def test_a_malformed_header_does_not_get_the_url_logged(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """urllib3 warns of such headers, and quotes the URL."""
    served = Host(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nno colon here\r\n\r\n")
    with misbehaving(served) as url, caplog.at_level("DEBUG"):
        fetch(url + "/?token=canary", path, b"")
    assert "canary" not in caplog.text


@needs_openssl
def test_all_downloads_share_a_tls_context(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    create = ssl.create_default_context

    def count(*arguments: Any, **options: Any) -> ssl.SSLContext:
        made.append(arguments)
        return create(*arguments, **options)

    monkeypatch.setattr("ssl.create_default_context", count)
    with serving_tls(tmp_path, lambda _: Reply(body=PROGRAM)) as site:
        monkeypatch.setattr("certifi.where", lambda: str(site.certificate))
        downloader = Downloader(DownloadRules())
        for name in ("one", "two"):
            downloader.download(site.url, sha256_of(PROGRAM), tmp_path / name, threading.Event())
    assert len(made) == 1
