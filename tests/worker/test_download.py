"""A program is fetched whole and unchanged, or not at all, and the message says why without telling secrets."""

from __future__ import annotations

import gzip
import hashlib
import threading
from collections.abc import Iterator
from itertools import chain, repeat
from pathlib import Path

import pytest

from jobqueue.client.transport import without_secrets
from jobqueue.worker.download import ChecksumMismatch, DownloadFailed, DownloadStopped, download
from tests.client.fake_server import FakeServer, Reply, nobody, serving, serving_bytes

PROGRAM = b"#!/bin/sh\necho hello\n"
PASSING = (408, 425, 429, 500, 502, 503, 504)

pytestmark = [
    pytest.mark.usefixtures("short_pauses", "collected"),
    pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"),  # see the test of connections below
]


@pytest.fixture
def host() -> Iterator[FakeServer]:
    """A binary host."""
    with serving(lambda _: Reply(body=PROGRAM)) as server:
        yield server


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "program"


def fetch(url: str, path: Path, content: bytes = PROGRAM, stopped: threading.Event | None = None) -> None:
    download(url, hashlib.sha256(content).hexdigest(), path, stopped or threading.Event())


def test_a_good_file_is_there_and_executable_by_us_alone(host: FakeServer, path: Path) -> None:
    fetch(host.url, path)
    assert path.read_bytes() == PROGRAM
    assert path.stat().st_mode & 0o7777 == 0o500


def test_an_empty_file_is_a_file(host: FakeServer, path: Path) -> None:
    host.answer = lambda _: Reply()
    fetch(host.url, path, b"")
    assert path.read_bytes() == b""


def test_a_file_without_an_announced_length_is_taken(path: Path) -> None:
    with serving_bytes(b"HTTP/1.0 200 OK\r\n\r\n" + PROGRAM) as url:
        fetch(url, path)


def test_a_wrong_checksum_leaves_no_file_and_names_both(host: FakeServer, path: Path) -> None:
    with pytest.raises(ChecksumMismatch) as caught:
        fetch(host.url, path, b"something else")
    assert not path.exists()
    assert hashlib.sha256(PROGRAM).hexdigest() in str(caught.value)
    assert hashlib.sha256(b"something else").hexdigest() in str(caught.value)
    assert len(host.requests) == 1


def test_the_bytes_stay_as_sent_whatever_encoding_they_claim(host: FakeServer, path: Path) -> None:
    packed = gzip.compress(bytes(10_000_000))
    host.answer = lambda _: Reply(body=packed, headers={"Content-Encoding": "gzip"})
    fetch(host.url, path, packed)
    assert path.read_bytes() == packed
    assert host.requests[0].headers["Accept-Encoding"] == "identity"


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 451, 204, 206, 304])
def test_what_will_not_change_fails_at_once(host: FakeServer, path: Path, status: int) -> None:
    host.answer = lambda _: Reply(status)
    with pytest.raises(DownloadFailed, match=str(status)):
        fetch(host.url, path)
    assert len(host.requests) == 1


@pytest.mark.parametrize("status", PASSING)
def test_what_may_pass_is_tried_again(host: FakeServer, path: Path, status: int) -> None:
    replies = iter([Reply(status), Reply(status), Reply(body=PROGRAM)])
    host.answer = lambda _: next(replies)
    fetch(host.url, path)
    assert len(host.requests) == 3


def test_what_does_not_pass_fails_after_a_few_tries(host: FakeServer, path: Path) -> None:
    host.answer = lambda _: Reply(503)
    with pytest.raises(DownloadFailed, match="503 Service Unavailable"):
        fetch(host.url, path)
    assert len(host.requests) == 4


def test_a_short_body_is_tried_again_and_leaves_nothing_of_the_first(host: FakeServer, path: Path) -> None:
    replies = iter([Reply(body=b"x" * 300_000, length=400_000), Reply(body=PROGRAM)])
    host.answer = lambda _: next(replies)
    fetch(host.url, path)
    assert path.read_bytes() == PROGRAM


def test_nobody_listening_fails_after_a_few_tries(path: Path) -> None:
    with nobody() as url, pytest.raises(DownloadFailed, match="ConnectionError"):
        fetch(url, path)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_followed_but_take_no_password_along(host: FakeServer, path: Path, status: int) -> None:
    with serving(lambda _: Reply(status, headers={"Location": host.url + "/there"})) as first:
        fetch(first.url.replace("//", "//user:canary@"), path)
        assert "authorization" in map(str.lower, first.requests[0].headers)
    assert path.read_bytes() == PROGRAM
    assert "authorization" not in map(str.lower, host.requests[0].headers)


def test_redirects_in_a_circle_come_to_an_end(host: FakeServer, path: Path) -> None:
    host.answer = lambda _: Reply(302, headers={"Location": host.url})
    with pytest.raises(DownloadFailed, match="redirects"):
        fetch(host.url, path)


def test_a_full_disk_is_an_error_of_the_system_and_not_of_the_download(host: FakeServer) -> None:
    with pytest.raises(OSError, match="No space left"):
        fetch(host.url, Path("/dev/full"))


def test_a_stop_is_heard_between_two_tries(host: FakeServer, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jobqueue.worker.download.backoff", lambda *_: repeat(600))
    stopped = threading.Event()
    threading.Timer(0.1, stopped.set).start()
    host.answer = lambda _: Reply(503)
    with pytest.raises(DownloadStopped):
        fetch(host.url, path, stopped=stopped)
    assert len(host.requests) == 1


def test_a_stop_is_heard_while_a_large_file_comes(host: FakeServer, path: Path) -> None:
    stopped = threading.Event()

    def endless() -> Iterator[bytes]:
        yield from repeat(bytes(65536), 100)
        stopped.set()
        yield from repeat(bytes(65536))

    host.answer = lambda _: Reply(pieces=endless(), length=1 << 40)
    with pytest.raises(DownloadStopped):
        fetch(host.url, path, stopped=stopped)


def test_a_stop_is_heard_while_a_file_drips(host: FakeServer, path: Path) -> None:
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
def test_no_message_tells_a_password_or_a_query(host: FakeServer, path: Path, reply: Reply) -> None:
    host.answer = lambda _: reply
    with pytest.raises(DownloadFailed) as caught:
        fetch(host.url.replace("//", "//user:canary@") + "/program?token=canary#canary", path)
    assert "canary" not in str(caught.value)


def test_a_failed_download_leaves_no_connection_open(host: FakeServer, path: Path) -> None:
    host.answer = lambda _: Reply(404, b"not here")
    with pytest.raises(DownloadFailed) as caught:  # keeps the error, and all it refers to, from the collector
        fetch(host.url, path)
    assert "404" in str(caught.value)
    assert not is_connected(host.requests[0].port)


def is_connected(port: int) -> bool:
    """Whether a connection from that port is established or waits to be closed on our side."""
    lines = Path("/proc/net/tcp").read_text().splitlines()[1:]
    ours = [line.split() for line in lines if line.split()[1].endswith(f":{port:04X}")]
    return any(fields[3] in ("01", "08") for fields in ours)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://host/a/b?token=canary", "https://host/a/b"),
        ("http://user:canary@host:8080/a#canary", "http://host:8080/a"),
        ("http://user:can@ary@[::1]:80/", "http://[::1]:80/"),
    ],
)
def test_what_may_be_told_of_a_url_is_scheme_host_and_path(url: str, shown: str) -> None:
    assert without_secrets(url) == shown


def test_proxies_and_passwords_of_the_environment_are_not_used(
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


def test_pieces_of_any_size_make_one_file(host: FakeServer, path: Path) -> None:
    pieces = [bytes([number % 256]) * number for number in range(1500)]
    content = b"".join(pieces)
    host.answer = lambda _: Reply(pieces=chain(pieces), length=len(content))
    fetch(host.url, path, content)
    assert path.read_bytes() == content
