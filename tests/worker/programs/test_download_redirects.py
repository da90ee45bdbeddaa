"""A few redirects are followed, only to allowed hosts, and no password is sent to another origin."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path

import pytest

from jobqueue.worker.programs.errors import BlockedByPolicy, DownloadFailed
from jobqueue.worker.programs.policy import DownloadRules
from tests.support.downloads import PROGRAM, fetch
from tests.support.fake_server import FakeServer, Reply, Request, serving

pytestmark = pytest.mark.usefixtures("short_pauses")

CANARY = f"Basic {base64.b64encode(b'us%r:canary').decode()}"


@pytest.fixture
def other() -> Iterator[FakeServer]:
    with serving(lambda _: Reply(body=PROGRAM)) as server:
        yield server


def to(location: str, status: int = 302) -> Reply:
    return Reply(status, headers={"Location": location})


def with_password(url: str) -> str:
    return url.replace("//", "//us%25r:canary@")


def passwords(server: FakeServer) -> list[str | None]:
    return [request.headers.get("Authorization") for request in server.requests]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_followed_without_the_password(
    host: FakeServer, other: FakeServer, path: Path, status: int
) -> None:
    host.answer = lambda _: to(other.url + "/there", status)
    fetch(with_password(host.url), path)
    assert path.read_bytes() == PROGRAM
    assert passwords(host) == [CANARY]
    assert passwords(other) == [None]
    assert other.requests[0].path == "/there"


@pytest.mark.parametrize("location", ["/there", "{url}/there"])
def test_a_redirect_within_the_origin_keeps_the_password(host: FakeServer, path: Path, location: str) -> None:
    host.answer = lambda request: Reply(body=PROGRAM) if request.path == "/there" else to(location.format(url=host.url))
    fetch(with_password(host.url), path)
    assert passwords(host) == [CANARY, CANARY]


def test_a_redirect_back_to_the_first_origin_does_not_restore_the_password(
    host: FakeServer, other: FakeServer, path: Path
) -> None:
    host.answer = lambda request: Reply(body=PROGRAM) if request.path == "/back" else to(other.url)
    other.answer = lambda _: to(host.url + "/back")
    fetch(with_password(host.url), path)
    assert passwords(host) == [CANARY, None]
    assert passwords(other) == [None]


def test_a_redirect_to_another_name_of_the_host_drops_the_password(host: FakeServer, path: Path) -> None:
    named = host.url.replace("127.0.0.1", "localhost")
    host.answer = lambda request: Reply(body=PROGRAM) if request.path == "/there" else to(named + "/there")
    fetch(with_password(host.url), path)
    assert passwords(host) == [CANARY, None]


def countdown(request: Request) -> Reply:
    """Redirect as often as the path says."""
    left = int(request.path.strip("/"))
    return to(f"/{left - 1}") if left else Reply(body=PROGRAM)


def test_five_redirects_are_followed(host: FakeServer, path: Path) -> None:
    host.answer = countdown
    fetch(host.url + "/5", path)
    assert len(host.requests) == 6


def test_a_sixth_redirect_is_not_followed(host: FakeServer, path: Path) -> None:
    host.answer = countdown
    with pytest.raises(DownloadFailed, match="more than 5 redirects"):
        fetch(host.url + "/6", path)
    assert len(host.requests) == 6


def test_redirects_in_a_circle_fail(host: FakeServer, path: Path) -> None:
    host.answer = lambda _: to(host.url)
    with pytest.raises(DownloadFailed, match="redirects"):
        fetch(host.url, path)


def test_a_redirect_without_a_target_fails(host: FakeServer, path: Path) -> None:
    host.answer = lambda _: Reply(302)
    with pytest.raises(DownloadFailed, match="302 Found"):
        fetch(host.url, path)


def test_a_failure_after_a_redirect_names_the_url_that_failed(host: FakeServer, other: FakeServer, path: Path) -> None:
    host.answer = lambda _: to(other.url + "/there?token=canary")
    other.answer = lambda _: Reply(404)
    with pytest.raises(DownloadFailed) as caught:
        fetch(host.url, path)
    assert str(caught.value) == f"download failed: 404 Not Found ({other.url}/there)"


@pytest.mark.parametrize("allowed", ["127.0.0.1", "127.0.0.1:{port}", "*.0.0.1", "*.0.0.1:{port}"])
def test_a_host_that_fits_a_pattern_is_allowed(host: FakeServer, path: Path, allowed: str) -> None:
    port = host.url.rpartition(":")[2]
    fetch(host.url, path, rules=DownloadRules(allowed_hosts=("elsewhere", allowed.format(port=port))))


@pytest.mark.parametrize("allowed", ["127.0.0.1:1", "*.127.0.0.1", "27.0.0.1", "127.0.0", "*.1:1", "localhost"])
def test_a_host_that_fits_no_pattern_is_blocked(host: FakeServer, path: Path, allowed: str) -> None:
    with pytest.raises(BlockedByPolicy, match="not an allowed host"):
        fetch(host.url, path, rules=DownloadRules(allowed_hosts=(allowed,)))
    assert host.requests == []


def test_every_redirect_is_checked_against_the_rules(host: FakeServer, other: FakeServer, path: Path) -> None:
    host.answer = lambda request: to(other.url) if request.path == "/second" else to("/second")
    rules = DownloadRules(allowed_hosts=(host.url.removeprefix("http://"),))
    with pytest.raises(BlockedByPolicy) as caught:
        fetch(host.url, path, rules=rules)
    assert other.url in str(caught.value)
    assert len(host.requests) == 2
    assert other.requests == []


@pytest.mark.parametrize("name", ["LocalHost", "localhost."])
def test_host_patterns_ignore_case_and_a_final_dot(host: FakeServer, path: Path, name: str) -> None:
    rules = DownloadRules(allowed_hosts=("localHost",))
    fetch(host.url.replace("127.0.0.1", name), path, rules=rules)


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://host/", "//host/program", "data:,x", "gopher://h/"])
def test_a_scheme_other_than_http_and_https_is_refused(host: FakeServer, path: Path, url: str) -> None:
    with pytest.raises(DownloadFailed):
        fetch(url, path)
    with pytest.raises(BlockedByPolicy):
        fetch("ftp://host/program", path)
    host.answer = lambda _: to("ftp://host/program")
    with pytest.raises(BlockedByPolicy, match="neither http nor https but ftp"):
        fetch(host.url, path)
