"""Whatever a host answers, and whatever a URL looks like, the worst that happens is a failed download."""

from __future__ import annotations

import errno
import os
import socket
from pathlib import Path

import pytest

from jobqueue.worker.programs.errors import DownloadFailed
from tests.support.downloads import fetch
from tests.support.fake_server import serving_bytes

pytestmark = pytest.mark.usefixtures("short_pauses")


@pytest.mark.parametrize(
    "url",
    [
        "http://user:canary@a..b/?token=canary",
        "http://user:canary@[:::]/?token=canary",
        "http://user:canary@[1.2.3.4]/?token=canary",
        "http://user:canary@host:99999/?token=canary",
        "http://user:canary@ho st/?token=canary",
        "http://user:canary@host\r\nCookie: a/?token=canary",
        "http:///?token=canary",
        "",
    ],
)
def test_an_unreadable_url_is_a_failed_download(tmp_path: Path, url: str) -> None:
    with pytest.raises(DownloadFailed) as caught:
        fetch(url, tmp_path / "program")
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize(
    "reply",
    [
        b"",
        b"\x00\xff garbage\r\n\r\n",
        b"HTTP/1.1 99999 OK\r\n\r\n",
        b"HTTP/1.1 101 Switching\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5, 6\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nabc",
        b"HTTP/1.1 200 OK\r\n" + b"".join(b"A%d: b\r\n" % number for number in range(300)) + b"\r\n",
        b"HTTP/1.1 200 OK\r\nA: " + b"x" * 70_000 + b"\r\n\r\n",
        b"HTTP/1.1 302 Found\r\nLocation: http://[::1\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 302 Found\r\nLocation: /\xff\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 302 Found\r\nLocation: file:///etc/passwd\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 302 Found\r\nLocation: http://.a..b/\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-5\r\nabc",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\nabc",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"0" * 100_000 + b"\r\nabc",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcde\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"f" * 15 + b"\r\nabc",
        b"HTTP/1.1 200 OK\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\nabc",
        b"HTTP/1.1 429 Slow\r\nRetry-After: \xff" + b"9" * 5000 + b"\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n" * 50,
        b"HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Encoding: gzip\r\nContent-Length: 100\r\n\r\nabc",
    ],
)
def test_an_unreadable_answer_is_a_failed_download(tmp_path: Path, reply: bytes) -> None:
    with serving_bytes(reply) as url, pytest.raises(DownloadFailed):
        fetch(url, tmp_path / "program")


BROKEN_OFF = [
    b"HTT",
    b"HTTP/1.1 200 O",
    b"HTTP/1.1 200 OK\r\nContent-Type: te",
    b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nabc",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n10\r\nabc",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc",
]


@pytest.mark.parametrize("reply", BROKEN_OFF)
def test_an_answer_that_breaks_off_is_not_a_checksum_mismatch(tmp_path: Path, reply: bytes) -> None:
    with serving_bytes(reply) as url, pytest.raises(DownloadFailed, match="the connection ended early"):
        fetch(url, tmp_path / "program")


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM])
def test_a_machine_out_of_resources_is_not_a_failed_download(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("jobqueue.net.addresses.GovernedSocket", refuse)
    with pytest.raises(OSError, match=os.strerror(number)):
        fetch("http://127.0.0.1:9/program", tmp_path / "program")


@pytest.mark.parametrize("number", [socket.EAI_SYSTEM, socket.EAI_MEMORY])
def test_a_machine_that_cannot_look_up_names_is_not_a_failed_download(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise socket.gaierror(number, "no luck")

    monkeypatch.setattr("socket.getaddrinfo", refuse)
    with pytest.raises(OSError, match="no luck"):
        fetch("http://host/program", tmp_path / "program")
