"""Downloads through proxies, from private authorities, and with the odd answers that servers give."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from pathlib import Path

import pytest

from jobqueue.net import network
from jobqueue.worker.programs.errors import DownloadFailed
from jobqueue.worker.programs.policy import DownloadRules
from tests.support.downloads import PROGRAM, fetch
from tests.support.fake_server import FakeServer, Reply, nobody
from tests.support.hosts import misbehaving, resolve_to, swallowing
from tests.support.proxy import proxying
from tests.support.tls import needs_openssl, serving_tls

pytestmark = pytest.mark.usefixtures("short_pauses")


def rules_for(ca_file: Path | None = None, **variables: str) -> DownloadRules:
    return DownloadRules(network=network.load(ca_file, variables), retry_seconds=0)


def test_a_download_goes_through_the_proxy(host: FakeServer, path: Path) -> None:
    with proxying(host.url) as proxy:
        fetch("http://artifacts.test/a b?c=d", path, rules=rules_for(HTTP_PROXY=proxy.url))
    assert path.read_bytes() == PROGRAM
    assert proxy.request_lines == ["GET http://artifacts.test/a%20b?c=d HTTP/1.1"]
    assert host.requests[0].headers["Host"] == "artifacts.test"


@needs_openssl
def test_a_download_over_tls_goes_through_a_tunnel(tmp_path: Path, path: Path) -> None:
    with (
        serving_tls(tmp_path, lambda _: Reply(body=PROGRAM), "artifacts.test") as site,
        proxying(site.url) as proxy,
    ):
        fetch("https://artifacts.test/program", path, rules=rules_for(site.certificate, HTTPS_PROXY=proxy.url))
    assert path.read_bytes() == PROGRAM
    assert proxy.request_lines == ["CONNECT artifacts.test:443 HTTP/1.1"]


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_failure_of_the_proxy_says_so(path: Path, scheme: str) -> None:
    with nobody() as proxy, pytest.raises(DownloadFailed, match=f"the proxy {proxy} cannot be reached"):
        fetch(f"{scheme}://artifacts.test/program", path, rules=rules_for(ALL_PROXY=proxy))


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_proxy_that_asks_for_a_password_is_named(host: FakeServer, path: Path, scheme: str) -> None:
    answer = b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n"
    with proxying(host.url, answer) as proxy, pytest.raises(DownloadFailed, match=f"the proxy {proxy.url} .*407"):
        fetch(f"{scheme}://artifacts.test/program", path, rules=rules_for(ALL_PROXY=proxy.url))


@needs_openssl
def test_a_private_authority_is_trusted_when_a_setting_names_it(tmp_path: Path, path: Path) -> None:
    with serving_tls(tmp_path, lambda _: Reply(body=PROGRAM)) as site:
        with pytest.raises(DownloadFailed, match="certificate cannot be trusted"):
            fetch(site.url, path, rules=rules_for())
        fetch(site.url, path, rules=rules_for(site.certificate))
    assert path.read_bytes() == PROGRAM


class Answering:
    """A host that sends these bytes, one piece for each connection, and keeps the requests."""

    def __init__(self, *answers: bytes) -> None:
        self._answers = list(answers)
        self.targets: list[bytes] = []

    def __call__(self, connection: socket.socket, over: threading.Event) -> None:
        self.targets.append(connection.recv(65536).split(b" ")[1])
        connection.sendall(self._answers.pop(0))
        over.wait(0.1)


OK = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(PROGRAM), PROGRAM)
INTERIM = {
    "early hints": b"HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\n\r\n",
    "processing": b"HTTP/1.1 102 Processing\r\n\r\n" * 40,
    "mixed": b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nA: b\r\n\r\nHTTP/1.1 199 \r\n\r\n",
    "without phrase": b"HTTP/1.1 103\r\n\r\n",
    "bare line feeds": b"HTTP/1.1 103 Early Hints\nLink: x\n\n",
}


@pytest.mark.parametrize("interim", INTERIM.values(), ids=INTERIM)
def test_interim_answers_are_skipped(path: Path, interim: bytes) -> None:
    with misbehaving(Answering(interim + OK)) as url:
        fetch(url, path)
    assert path.read_bytes() == PROGRAM


@pytest.mark.parametrize("count", [101, 1000, 4000])
def test_an_answer_may_have_many_headers(path: Path, count: int) -> None:
    headers = b"".join(b"X-%d: value\r\n" % number for number in range(count))
    with misbehaving(Answering(OK.replace(b"\r\n", b"\r\n" + headers, 1))) as url:
        fetch(url, path)
    assert path.read_bytes() == PROGRAM


def test_headers_without_end_are_given_up(path: Path) -> None:
    sent = []

    def endless(connection: socket.socket, over: threading.Event) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\n")
        with suppress(OSError):
            while not over.is_set():
                connection.sendall(b"X: y\r\n" * 1000)
                sent.append(6000)

    with misbehaving(endless) as url, pytest.raises(DownloadFailed, match="the headers are larger than 65536 bytes"):
        fetch(url, path)
    assert sum(sent) < 20_000_000


@pytest.mark.parametrize(
    ("location", "target"),
    [
        ("/café?x=ü", b"/caf%C3%A9?x=%C3%BC"),
        ("/caf%C3%A9", b"/caf%C3%A9"),
        ("/日本/%20a b", b"/%E6%97%A5%E6%9C%AC/%20a%20b"),
        ("café", b"/dir/caf%C3%A9"),
    ],
)
def test_a_location_in_raw_utf_8_is_encoded_once(path: Path, location: str, target: bytes) -> None:
    redirect = f"HTTP/1.1 302 Found\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n".encode()
    host = Answering(redirect, OK)
    with misbehaving(host) as url:
        fetch(f"{url}/dir/start", path)
    assert host.targets[1] == target


def test_a_location_in_another_encoding_is_asked_for_byte_by_byte(path: Path) -> None:
    host = Answering(b"HTTP/1.1 302 Found\r\nLocation: /caf\xe9\r\nContent-Length: 0\r\n\r\n", OK)
    with misbehaving(host) as url:
        fetch(url, path)
    assert host.targets[1] == b"/caf%E9"


def test_a_long_url_is_requested_whole_redirects_included(host: FakeServer, path: Path) -> None:
    query = "/program?token=" + "x" * 8000
    host.answer = lambda request: (
        Reply(body=PROGRAM) if "token" in request.path else Reply(302, headers={"Location": query})
    )
    fetch(host.url, path)
    fetch(host.url + query, path)
    assert [request.path for request in host.requests] == ["/", query, query]


def test_an_address_without_an_answer_does_not_use_up_the_time_limit(
    host: FakeServer, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with swallowing() as dead:
        resolve_to(monkeypatch, dead, dead, host.url)
        fetch("http://artifacts.test/program", path, rules=DownloadRules(timeout_seconds=5, connect_seconds=30))
    assert path.read_bytes() == PROGRAM


def test_an_international_name_is_asked_for_in_its_ascii_form(host: FakeServer, path: Path) -> None:
    with proxying(host.url) as proxy:
        fetch("http://bücher.test/program", path, rules=rules_for(HTTP_PROXY=proxy.url))
    assert proxy.request_lines == ["GET http://xn--bcher-kva.test/program HTTP/1.1"]
