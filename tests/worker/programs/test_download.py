"""A program is downloaded whole and unchanged, or not at all; then the message says why, without secrets."""

from __future__ import annotations

import gzip
import hashlib
import threading
from collections.abc import Iterator
from itertools import chain, repeat
from pathlib import Path

import pytest

from jobqueue.worker.programs.errors import ChecksumMismatch, DownloadFailed, DownloadStopped
from jobqueue.worker.programs.policy import DownloadRules
from tests.support.downloads import PROGRAM, fetch
from tests.support.fake_server import FakeServer, Reply, serving_bytes
from tests.support.hosts import is_connected

pytestmark = pytest.mark.usefixtures("short_pauses")


def test_a_downloaded_program_is_executable_by_us_alone(host: FakeServer, path: Path) -> None:
    fetch(host.url, path)
    assert path.read_bytes() == PROGRAM
    assert path.stat().st_mode & 0o7777 == 0o500


def test_an_empty_program_is_downloaded(host: FakeServer, path: Path) -> None:
    host.answer = lambda _: Reply()
    fetch(host.url, path, b"")
    assert path.read_bytes() == b""


def test_a_body_without_an_announced_length_is_read_to_its_end(path: Path) -> None:
    with serving_bytes(b"HTTP/1.0 200 OK\r\n\r\n" + PROGRAM) as url:
        fetch(url, path)


def test_a_wrong_checksum_leaves_no_file_and_the_message_has_both_checksums(host: FakeServer, path: Path) -> None:
    with pytest.raises(ChecksumMismatch) as caught:
        fetch(host.url, path, b"something else")
    assert not path.exists()
    assert hashlib.sha256(PROGRAM).hexdigest() in str(caught.value)
    assert hashlib.sha256(b"something else").hexdigest() in str(caught.value)
    assert f"{len(PROGRAM)} bytes" in str(caught.value)


def test_an_encoded_body_is_stored_as_sent(host: FakeServer, path: Path) -> None:
    packed = gzip.compress(bytes(10_000_000))
    host.answer = lambda _: Reply(body=packed, headers={"Content-Encoding": "gzip"})
    fetch(host.url, path, packed)
    assert path.read_bytes() == packed
    assert host.requests[0].headers["Accept-Encoding"] == "identity"


def test_a_program_of_exactly_the_largest_size_is_downloaded(host: FakeServer, path: Path) -> None:
    fetch(host.url, path, rules=DownloadRules(max_bytes=len(PROGRAM)))


def test_a_body_announced_as_too_large_is_not_read(host: FakeServer, path: Path) -> None:
    with pytest.raises(DownloadFailed, match=r"larger than 20 bytes"):
        fetch(host.url, path, rules=DownloadRules(max_bytes=20))
    assert not path.exists()
    assert len(host.requests) == 1


@pytest.mark.parametrize(
    "reply",
    [
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"10\r\n0123456789abcdef\r\n" * 100 + b"0\r\n\r\n",
        b"HTTP/1.0 200 OK\r\n\r\n" + b"0123456789abcdef" * 100,
    ],
)
def test_a_body_that_turns_out_too_large_is_given_up(path: Path, reply: bytes) -> None:
    with serving_bytes(reply) as url, pytest.raises(DownloadFailed, match=r"larger than 1599 bytes"):
        fetch(url, path, rules=DownloadRules(max_bytes=1599))
    assert path.stat().st_size <= 1599


def test_a_chunked_body_is_put_together(path: Path) -> None:
    chunks = b"3\r\nabc\r\n00A ;name=value\r\n0123456789\r\n0\r\nTrailer: x\r\n\r\n"
    with serving_bytes(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks) as url:
        fetch(url, path, b"abc0123456789")
    assert path.read_bytes() == b"abc0123456789"


def test_a_full_disk_raises_the_error_of_the_system(host: FakeServer) -> None:
    with pytest.raises(OSError, match="No space left"):
        fetch(host.url, Path("/dev/full"))


def test_a_download_is_stopped_between_two_tries(host: FakeServer, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stopped = threading.Event()

    def pauses(*_: float) -> Iterator[float]:
        threading.Timer(0.1, stopped.set).start()
        yield 600

    monkeypatch.setattr("jobqueue.worker.programs.download.backoff", pauses)
    host.answer = lambda _: Reply(503)
    with pytest.raises(DownloadStopped):
        fetch(host.url, path, stopped=stopped)
    assert len(host.requests) == 1


def test_a_download_is_stopped_while_a_large_body_arrives(host: FakeServer, path: Path) -> None:
    stopped = threading.Event()

    def endless() -> Iterator[bytes]:
        yield from repeat(bytes(65536), 100)
        stopped.set()
        yield from repeat(bytes(65536))

    host.answer = lambda _: Reply(pieces=endless(), length=1 << 40)
    with pytest.raises(DownloadStopped):
        fetch(host.url, path, stopped=stopped, rules=DownloadRules(max_bytes=1 << 40))


def test_a_download_is_stopped_while_a_body_drips(host: FakeServer, path: Path) -> None:
    stopped, sent = threading.Event(), list[bytes]()

    def drops() -> Iterator[bytes]:
        for drop in host.drip(60, 0.05):
            sent.append(drop)
            yield drop
            stopped.set()

    host.answer = lambda _: Reply(pieces=drops(), length=60)
    with pytest.raises(DownloadStopped):
        fetch(host.url, path, stopped=stopped)
    assert len(sent) < 40


@pytest.mark.parametrize(
    "reply",
    [
        Reply(404),
        Reply(503),
        Reply(body=b"wrong"),
        Reply(body=b"short", length=100),
        Reply(302, headers={"Location": "http://[::1/?token=canary"}),
        Reply(302, headers={"Location": "http://user:canary@host:99999/?token=canary"}),
        Reply(302, headers={"Location": "ftp://user:canary@host/?token=canary"}),
    ],
)
def test_no_message_contains_a_password_or_a_query(host: FakeServer, path: Path, reply: Reply) -> None:
    host.answer = lambda _: reply
    with pytest.raises(DownloadFailed) as caught:
        fetch(host.url.replace("//", "//user:canary@") + "/program?token=canary#canary", path)
    assert "canary" not in str(caught.value)


def test_no_message_contains_invisible_characters(host: FakeServer, path: Path) -> None:
    host.answer = lambda request: Reply(403 if request.path != "/" else 302, headers={"Location": "/a\x85b"})
    with pytest.raises(DownloadFailed) as caught:
        fetch(host.url, path)
    assert str(caught.value).isprintable()


def test_a_failed_download_leaves_no_connection_open(host: FakeServer, path: Path) -> None:
    host.answer = lambda _: Reply(404, b"not here")
    with pytest.raises(DownloadFailed) as caught:  # keeps the error, and all it refers to, from the collector
        fetch(host.url, path)
    assert "404" in str(caught.value)
    assert not is_connected(host.requests[0].port, host.port)


def test_proxies_and_netrc_of_the_environment_are_not_used(
    host: FakeServer, path: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / ".netrc").write_text("default login canary password canary\n")
    (tmp_path / ".netrc").chmod(0o600)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("NETRC", raising=False)
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    fetch(host.url, path)
    assert "authorization" not in map(str.lower, host.requests[0].headers)


def test_a_body_in_pieces_of_any_size_is_put_together(host: FakeServer, path: Path) -> None:
    pieces = [bytes([number % 256]) * number for number in range(1500)]
    content = b"".join(pieces)
    host.answer = lambda _: Reply(pieces=chain(pieces), length=len(content))
    fetch(host.url, path, content)
    assert path.read_bytes() == content
