"""A URL of a job reaches into networks that only the worker can reach."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from marshmallow import ValidationError

from jobqueue.net import network
from jobqueue.net.destinations import addresses
from jobqueue.net.destinations.addresses import Kind
from jobqueue.web.schemas.submitters import NewJobIn
from jobqueue.worker import config
from jobqueue.worker.programs.download import Downloader
from jobqueue.worker.programs.errors import BlockedByPolicy, DownloadFailed
from jobqueue.worker.programs.policy import DownloadRules
from tests.support.fake_server import FakeServer, Reply, Request, nobody, serving, serving_bytes
from tests.support.proxy import proxying
from tests.support.traps import Traps, trapping
from tests.support.url_forms import FORMS
from tests.support.web import JOB

PUBLIC = "127.0.0.77"
"""Stands for an address on the internet; every other address is what it is."""

FORBIDDEN = "127.0.0.99"
"""Stands for the metadata of a cloud, as nobody has 169.254.169.254 here."""

SECRET = b"secret of an internal service"
STAND_INS = {PUBLIC: Kind.PUBLIC, FORBIDDEN: Kind.FORBIDDEN}
NAMES = {
    "public.test": [PUBLIC],
    "metadata.test": [FORBIDDEN],
    "six.test": ["::1"],
    "mapped.test": ["::ffff:127.0.0.1"],
    "both.test": ["127.0.0.2", PUBLIC, "::1"],
}


@pytest.fixture(autouse=True)
def world(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have two loopback addresses count as others, names lead where they say, and pauses be short."""
    real_kind, real_look_up = addresses.kind_of, socket.getaddrinfo

    def kind_of(address: str) -> Kind:
        return STAND_INS.get(address) or real_kind(address)

    def look_up(host: str, *more: Any, **named: Any) -> Any:
        if not host.endswith(".test"):
            return real_look_up(host, *more, **named)
        return [found for each in NAMES.get(host, ["127.0.0.2"]) for found in real_look_up(each, *more, **named)]

    for module in ("net.destinations.addresses", "worker.programs.policy"):
        monkeypatch.setattr(f"jobqueue.{module}.kind_of", kind_of)
    monkeypatch.setattr("socket.getaddrinfo", look_up)
    monkeypatch.setattr("jobqueue.worker.programs.download.backoff", lambda *_: iter([0.01] * 1000))


@pytest.fixture(scope="module")
def traps() -> Iterator[Traps]:
    with trapping() as traps:
        yield traps


@pytest.fixture
def public() -> Iterator[FakeServer]:
    """A server whose name is public.test."""
    with serving(lambda _: Reply(503), host=PUBLIC) as server:
        yield server


def rules(**settings: str) -> DownloadRules:
    return config.load({"DOWNLOAD_RETRY_SECONDS": "0.05", **settings}).download


def behind(proxy: str, **settings: str) -> DownloadRules:
    """Return the rules of a worker whose requests go through a proxy."""
    return replace(rules(**settings), network=network.load(None, {"ALL_PROXY": proxy}))


def download(url: str, folder: Path, by: DownloadRules) -> None:
    """Download what does not have this hash, as a worker would."""
    Downloader(by).download(url, "0" * 64, folder / "program", threading.Event())


def is_submitted(url: str) -> bool:
    """Whether the API takes a job with this URL."""
    with suppress(ValidationError):
        NewJobIn().load({**JOB, "binary_url": url})
        return True
    return False


def to(location: str) -> Callable[[Request], Reply]:
    """Return a server's answer to every request: a redirect."""
    return lambda _: Reply(302, headers={"Location": location})


def test_no_form_of_a_url_reaches_a_private_address(traps: Traps, tmp_path: Path) -> None:
    taken = []
    for form in FORMS:
        url = form.replace("PORT", str(traps.port))
        with pytest.raises(DownloadFailed):
            download(url, tmp_path, rules(BINARY_NETWORKS="public"))
        taken += [url] * is_submitted(url)
    assert traps.caught() == []
    assert 40 <= len(taken) <= len(FORMS) - 30  # some are refused by the API, the others only by the worker


def test_no_redirect_reaches_a_private_address(traps: Traps, public: FakeServer, tmp_path: Path) -> None:
    targets = [form.replace("PORT", str(traps.port)) for form in FORMS if form.isascii() and form.isprintable()]
    public.answer = lambda request: Reply(302, headers={"Location": targets[int(request.path[1:])]})
    for number in range(len(targets)):
        with pytest.raises(DownloadFailed):
            download(f"{public.url}/{number}", tmp_path, rules(BINARY_NETWORKS="public"))
    assert len(public.requests) >= len(targets)
    assert traps.caught() == []


def test_a_chain_of_redirects_is_checked_at_every_hop(traps: Traps, public: FakeServer, tmp_path: Path) -> None:
    def answer(request: Request) -> Reply:
        left = int(request.path[1:])
        location = f"http://public.test:{public.port}/{left - 1}" if left else f"http://localhost:{traps.port}/"
        return Reply(307, headers={"Location": location})

    public.answer = answer
    with pytest.raises(BlockedByPolicy):
        download(f"http://public.test:{public.port}/4", tmp_path, rules(BINARY_NETWORKS="public"))
    assert len(public.requests) == 5
    assert traps.caught() == []


def test_the_traps_catch_what_is_allowed(traps: Traps, tmp_path: Path) -> None:
    """Otherwise the tests around this one would prove nothing."""
    for host in ("127.0.0.2", "[::1]", "internal.test", "0x7f.1"):
        with pytest.raises(DownloadFailed):
            download(f"http://{host}:{traps.port}/", tmp_path, rules(DOWNLOAD_TIMEOUT_SECONDS="0.1"))
    assert sorted(traps.caught()) == ["127.0.0.1", "127.0.0.2", "127.0.0.2", "::1"]


@pytest.mark.parametrize("networks", ["any", "public"])
@pytest.mark.parametrize("host", [FORBIDDEN, "2130706531", "metadata.test", f"a@{FORBIDDEN}"])
def test_metadata_of_clouds_is_refused_whatever_is_allowed(
    traps: Traps, public: FakeServer, tmp_path: Path, networks: str, host: str
) -> None:
    url = f"http://{host}:{traps.port}/latest/meta-data/"
    public.answer = to(url)
    for each in (url, public.url):
        with pytest.raises(BlockedByPolicy):
            download(each, tmp_path, rules(BINARY_NETWORKS=networks))
    assert traps.caught() == []


def test_a_name_that_leads_elsewhere_the_next_time_is_refused_then(
    traps: Traps, public: FakeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = [(PUBLIC, public.port), ("127.0.0.2", traps.port), ("127.0.0.2", traps.port)]
    looked_up = []

    def look_up(host: str, *_: object, **__: object) -> Any:
        looked_up.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", answers.pop(0))]

    monkeypatch.setattr("socket.getaddrinfo", look_up)
    with pytest.raises(BlockedByPolicy):  # the first answer is 503, so that there is another try
        download("http://rebinding.test/x", tmp_path, rules(BINARY_NETWORKS="public", DOWNLOAD_RETRY_SECONDS="5"))
    assert looked_up == ["rebinding.test"] * 2  # one look-up for each request, and none between check and connection
    assert len(public.requests) == 1
    assert traps.caught() == []


def test_of_a_name_with_several_addresses_only_public_ones_are_connected_to(
    traps: Traps, public: FakeServer, tmp_path: Path
) -> None:
    limits = rules(BINARY_NETWORKS="public", DOWNLOAD_TIMEOUT_SECONDS="0.2")
    for port in (public.port, traps.port):
        with pytest.raises(DownloadFailed):
            download(f"http://both.test:{port}/", tmp_path, limits)
    assert len(public.requests) >= 1
    assert traps.caught() == [PUBLIC]


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("host", ["169.254.169.254", "0xa9fea9fe", "[fd00:ec2::254]", "metadata.google.internal"])
def test_a_proxy_is_not_asked_for_metadata_of_clouds(tmp_path: Path, host: str, scheme: str) -> None:
    with nobody() as dead, proxying(dead) as proxy:
        with pytest.raises(BlockedByPolicy):
            download(f"{scheme}://{host}/", tmp_path, behind(proxy.url))
        assert proxy.heads == []


def test_a_proxy_is_asked_for_public_or_listed_servers_only(public: FakeServer, tmp_path: Path) -> None:
    public.answer = lambda _: Reply(404)
    with proxying(f"http://127.0.0.1:{public.port}") as proxy, serving(public.answer, port=public.port):
        for url in ("http://10.0.0.1/", "http://somewhere.example/"):
            with pytest.raises(BlockedByPolicy):
                download(url, tmp_path, behind(proxy.url, BINARY_NETWORKS="public"))
        assert proxy.heads == []
        listed = behind(proxy.url, BINARY_NETWORKS="public", BINARY_HOSTS="*.example")
        with pytest.raises(DownloadFailed, match="404"):
            download("http://somewhere.example/", tmp_path, listed)
        with pytest.raises(DownloadFailed, match="404"):
            download("http://8.8.8.8/", tmp_path, behind(proxy.url, BINARY_NETWORKS="public"))


ANSWERS: dict[str, Callable[[Request], Reply]] = {
    "another program": lambda _: Reply(body=SECRET),
    "nothing": lambda _: Reply(body=b""),
    "not found": lambda _: Reply(404, body=SECRET),
    "forbidden": lambda _: Reply(403),
    "an error": lambda _: Reply(500),
    "unavailable": lambda _: Reply(503, headers={"Retry-After": "0"}),
    "a short answer": lambda _: Reply(body=SECRET, length=1000),
    "a large answer": lambda _: Reply(body=b"x", length=1 << 40),
    "large headers": lambda _: Reply(headers={f"X-{number}": "y" * 1000 for number in range(90)}),
    "a redirect to itself": to("/secret"),
    "a redirect to a private place": to("http://127.0.0.5:1/secret"),
    "a redirect to a public place": to("http://public.test:1/secret"),
    "a redirect to metadata": to(f"http://{FORBIDDEN}/secret"),
    "a redirect to a file": to("file:///secret"),
    "a redirect to nonsense": to("http://[secret"),
    "a redirect to no address": to("http://[1::2::3]/secret"),
}
RAW = {"garbage": b"\x00secret\r\n\r\n", "a half head": b"HTTP/1.1 200 OK\r\nX-Secret: y", "no answer": b""}


def message(url: str, folder: Path) -> str:
    """Return what the job of such a download is told, without the port."""
    with pytest.raises(DownloadFailed) as caught:
        download(url, folder, rules(DOWNLOAD_TIMEOUT_SECONDS="5"))
    return str(caught.value).replace(url, "URL")


def test_whatever_a_private_address_answers_or_not_the_job_is_told_the_same(tmp_path: Path) -> None:
    told = {}
    with ExitStack() as stack:
        for name, answer in ANSWERS.items():
            told[name] = message(f"{stack.enter_context(serving(answer)).url}/x", tmp_path)
        for name, reply in RAW.items():
            told[name] = message(f"{stack.enter_context(serving_bytes(reply))}/x", tmp_path)
        told["refused"] = message(f"{stack.enter_context(nobody())}/x", tmp_path)
        plain = stack.enter_context(serving(ANSWERS["nothing"])).url
        told["no TLS"] = message(f"{plain.replace('http', 'https')}/x", tmp_path)
    assert len(set(told.values())) == 1, told
    assert "secret" not in str(told).lower()
    assert "URL" in told["refused"]


def test_a_redirect_to_a_private_address_conceals_what_that_answers(public: FakeServer, tmp_path: Path) -> None:
    with serving(ANSWERS["another program"]) as server, nobody() as dead:
        told = set()
        for location in (server.url, dead):
            public.answer = to(f"{location}/x")
            told.add(message(public.url, tmp_path))
    assert len(told) == 1


def test_what_a_public_address_answers_is_told(public: FakeServer, tmp_path: Path) -> None:
    public.answer = ANSWERS["not found"]
    assert message(public.url, tmp_path) == "download failed: 404 Not Found (URL)"


def test_a_checksum_that_is_wrong_first_and_a_failure_later_are_concealed_alike(tmp_path: Path) -> None:
    replies = [Reply(body=SECRET), Reply(404)]
    with serving(lambda _: replies.pop(0)) as first, serving(lambda _: Reply(404)) as second:
        assert message(f"{first.url}/x", tmp_path) == message(f"{second.url}/x", tmp_path)
    assert replies == []


def test_slots_that_share_a_failure_share_its_concealment(tmp_path: Path) -> None:
    told = []
    downloader = Downloader(rules(DOWNLOAD_RETRY_SECONDS="0.2"))
    stop = threading.Event()
    with serving(lambda _: Reply(503)) as server:

        def fetch(name: str) -> None:
            with pytest.raises(DownloadFailed) as caught:
                downloader.download(server.url, "0" * 64, tmp_path / name, stop)
            told.append(str(caught.value))

        threads = [threading.Thread(target=fetch, args=(str(number),)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(told) == 4
    assert len(set(told)) == 1
    assert "503" not in told[0]
