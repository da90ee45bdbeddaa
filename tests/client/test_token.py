"""The token that requests carry: where it comes from, when it is read again, and what its refusal means."""

from __future__ import annotations

import os
from contextlib import closing, suppress
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from jobqueue.client import token as tokens
from jobqueue.client.token import Token
from jobqueue.client.transport import ApiRefused, ApiUnavailable, TokenRefused, Transport
from jobqueue.net import network
from jobqueue.settings import InvalidSetting
from tests.support.fake_api import FORBIDDEN
from tests.support.fake_api import UNKNOWN_TOKEN as UNKNOWN
from tests.support.fake_server import FakeServer, Reply, Request, in_json, serving
from tests.support.proxy import proxying
from tests.support.tls import needs_openssl, serving_tls

API = "http://queue.test:8080/api/v1"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A file with the token `first`."""
    path = tmp_path / "token"
    path.write_text("first\n")
    return path


def replace(file: Path, content: str) -> None:
    """Replace a file as a careful program does."""
    new = file.with_name("new")
    new.write_text(content)
    new.rename(file)


def sent(server: FakeServer) -> list[str | None]:
    return [request.headers.get("Authorization") for request in server.requests]


def test_every_request_carries_the_token(server: FakeServer) -> None:
    with closing(Transport(server.url, token=Token("word"))) as transport:
        transport.call("GET", "/jobs/1")
        transport.call("POST", "/jobs", {})
    assert sent(server) == ["Bearer word"] * 2


def test_a_request_without_a_token_has_no_such_header(server: FakeServer, transport: Transport) -> None:
    transport.call("GET", "/jobs/1")
    assert sent(server) == [None]


def test_a_token_in_a_file_is_read_again_when_the_file_changes(server: FakeServer, file: Path) -> None:
    with closing(Transport(server.url, token=Token(file=file))) as transport:
        transport.call("GET", "/jobs/1")
        replace(file, "second")
        transport.call("GET", "/jobs/1")
        file.write_text("third\n")
        transport.call("GET", "/jobs/1")
    assert sent(server) == ["Bearer first", "Bearer second", "Bearer third"]


def test_a_file_that_a_link_leads_to_is_read_again_when_the_link_changes(server: FakeServer, tmp_path: Path) -> None:
    """Kubernetes replaces a secret like this."""
    for number in ("1", "2"):
        (tmp_path / number).mkdir()
        (tmp_path / number / "token").write_text(f"word-{number}")
    (tmp_path / "data").symlink_to("1")
    with closing(Transport(server.url, token=Token(file=tmp_path / "data" / "token"))) as transport:
        transport.call("GET", "/jobs/1")
        (tmp_path / "new").symlink_to("2")
        (tmp_path / "new").rename(tmp_path / "data")
        transport.call("GET", "/jobs/1")
    assert sent(server) == ["Bearer word-1", "Bearer word-2"]


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_request_whose_token_was_replaced_under_way_is_sent_again_at_once(
    server: FakeServer, file: Path, method: str
) -> None:
    def answer(request: Request) -> Reply:
        if request.headers["Authorization"] == "Bearer second":
            return in_json({"id": "1"})
        replace(file, "second")
        return UNKNOWN

    server.answer = answer
    with closing(Transport(server.url, token=Token(file=file))) as transport:
        assert transport.call(method, "/jobs", {}) == {"id": "1"}
    assert sent(server) == ["Bearer first", "Bearer second"]


def test_a_refused_token_that_is_still_the_same_is_sent_once(server: FakeServer, file: Path) -> None:
    server.answer = lambda _: UNKNOWN
    with closing(Transport(server.url, token=Token(file=file))) as transport, pytest.raises(TokenRefused):
        transport.call("GET", "/jobs/1")
    assert sent(server) == ["Bearer first"]


HALF = f"jq_worker_{43 * 'x'}_abc"


@pytest.mark.parametrize("content", [None, "", "\n", "two words", "w\0rd", "wörd", "x" * 4097, HALF])
def test_a_file_that_holds_no_token_for_a_while_leaves_the_one_before(
    server: FakeServer, file: Path, content: str | None
) -> None:
    with closing(Transport(server.url, token=Token(file=file, logs_refusals=True))) as transport:
        if content is None:
            file.unlink()
        else:
            file.write_text(content)
        with capture_logs() as logs:
            transport.call("GET", "/jobs/1")
            transport.call("GET", "/jobs/1")
        replace(file, "second")
        transport.call("GET", "/jobs/1")
    assert sent(server) == ["Bearer first", "Bearer first", "Bearer second"]
    assert [log["event"] for log in logs] == ["token_unreadable"]
    assert not content or content not in str(logs)


def test_a_pipe_in_place_of_the_file_holds_up_nothing(file: Path, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InvalidSetting, match=r"API_TOKEN_FILE=.*pipe is not a regular file"):
        Token(file=tmp_path / "pipe")


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_redirect_gets_no_token(server: FakeServer, status: int, method: str) -> None:
    with serving(lambda _: in_json({})) as elsewhere:
        server.answer = lambda _: Reply(status, headers={"Location": elsewhere.url})
        with (
            closing(Transport(server.url, token=Token("canary"))) as transport,
            pytest.raises(ApiUnavailable, match="set API_URL to the URL") as caught,
        ):
            transport.call(method, "/jobs/1")
    assert elsewhere.requests == []
    assert "canary" not in str(caught.value)


@needs_openssl
def test_a_proxy_in_front_of_an_https_api_sees_no_token(tmp_path: Path) -> None:
    with serving_tls(tmp_path, lambda _: in_json({}), "queue.test") as site, proxying(site.url) as proxy:
        ways = network.load(site.certificate, {"HTTPS_PROXY": proxy.url})
        with closing(Transport("https://queue.test/api/v1", ways, token=Token("canary"))) as transport:
            transport.call("GET", "/jobs/1")
    assert [head.splitlines()[0] for head in proxy.heads] == ["CONNECT queue.test:443 HTTP/1.1"]
    assert "canary" not in "".join(proxy.heads)


def test_a_refused_token_is_an_api_that_is_away(server: FakeServer) -> None:
    server.answer = lambda _: UNKNOWN
    with (
        closing(Transport(server.url, token=Token("canary"))) as transport,
        pytest.raises(TokenRefused, match=r"401 from .*does not know the token in API_TOKEN") as caught,
    ):
        transport.call("GET", "/jobs/1")
    assert isinstance(caught.value, ApiUnavailable)
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize("status", [302, 400, 401, 403, 404, 500, 503])
def test_a_server_that_quotes_the_token_does_not_bring_it_into_messages(server: FakeServer, status: int) -> None:
    quoting = {"error": "no such token: canary", "context": {"code": "forbidden", "scope": "canary", "sent": "canary"}}
    reply = in_json(quoting, status)
    server.answer = lambda _: Reply(status, reply.body, {"Location": f"{server.url}/canary/x"})
    with (
        closing(Transport(server.url, token=Token("canary"))) as transport,
        pytest.raises((ApiRefused, ApiUnavailable)) as caught,
    ):
        transport.call("GET", "/jobs/1")
    assert "canary" not in str(caught.value) + str(vars(caught.value))


def test_an_api_that_asks_for_a_token_is_told_from_one_that_refuses_it(
    server: FakeServer, transport: Transport
) -> None:
    server.answer = lambda _: UNKNOWN
    with pytest.raises(TokenRefused, match="asks for a token: set API_TOKEN or API_TOKEN_FILE"):
        transport.call("GET", "/jobs/1")


def test_a_forbidden_request_names_the_scope_that_the_token_lacks(server: FakeServer) -> None:
    server.answer = lambda _: FORBIDDEN
    with (
        closing(Transport(server.url, token=Token("word"))) as transport,
        pytest.raises(TokenRefused, match=r"403 from .*lacks the scope execute") as caught,
    ):
        transport.call("GET", "/jobs/1")
    assert caught.value.scope == "execute"


def test_another_reason_to_forbid_a_request_is_a_refusal_of_the_request(
    server: FakeServer, transport: Transport
) -> None:
    server.answer = lambda _: in_json({"error": "no", "context": {"code": "of_a_proxy"}}, 403)
    with pytest.raises(ApiRefused):
        transport.call("GET", "/jobs/1")


def test_refusals_are_logged_when_they_begin_and_when_they_end(server: FakeServer) -> None:
    token = Token("word", logs_refusals=True)
    replies = [UNKNOWN, FORBIDDEN, in_json({}), in_json({"error": "no", "context": {}}, 404), UNKNOWN, Reply(204)]
    server.answer = lambda _: replies.pop(0)
    with (
        closing(Transport(server.url, token=token)) as first,
        closing(Transport(server.url, token=token)) as second,
        capture_logs() as logs,
    ):
        for transport in (first, second, first, second, first, second):
            with suppress(TokenRefused, ApiRefused):
                transport.call("GET", "/jobs/1")
    assert [(log["event"], log["log_level"]) for log in logs] == [
        ("token_refused", "error"),
        ("token_accepted", "info"),
    ] * 2


@pytest.mark.parametrize(
    ("text", "content", "words"),
    [
        ("other", "first", "API_TOKEN and the file API_TOKEN_FILE hold different tokens"),
        ("", None, "API_TOKEN_FILE=.* cannot be read: No such file"),
        ("", " \n", "must hold one whole token"),
        ("", "canary canary", "must hold one whole token"),
        ("", HALF, "must hold one whole token"),
        ("canary canary", "", "^API_TOKEN must be one whole token"),
        (HALF, "", "^API_TOKEN must be one whole token"),
    ],
)
def test_a_token_that_cannot_be_used_is_refused_and_not_shown(
    tmp_path: Path, text: str, content: str | None, words: str
) -> None:
    variables = {"API_TOKEN": text}
    if content != "":
        variables["API_TOKEN_FILE"] = str(tmp_path / "token")
    if content:
        (tmp_path / "token").write_text(content)
    with pytest.raises(InvalidSetting, match=words) as caught:
        tokens.load(variables, API)
    assert "canary" not in str(caught.value)
    assert HALF not in str(caught.value)


def test_white_space_around_a_token_is_left_out() -> None:
    assert tokens.load({"API_TOKEN": " word\n"}, API).current() == "word"


def test_the_file_counts_when_both_settings_hold_the_same_token(file: Path) -> None:
    token = tokens.load({"API_TOKEN": "first", "API_TOKEN_FILE": str(file)}, API)
    replace(file, "second")
    assert token.current() == "second"


def test_a_url_with_a_password_cannot_be_used_with_a_token() -> None:
    with pytest.raises(InvalidSetting, match="API_URL") as caught:
        tokens.load({"API_TOKEN": "word"}, "https://user:canary@queue.test/api/v1")
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "openly"),
    [
        ("https://queue.example/api/v1", False),
        ("http://queue.example/api/v1", True),
        ("http://203.0.113.7/api/v1", False),  # a documentation address: ipaddress counts it as private
        ("http://8.8.8.8:8080/api/v1", True),
        ("http://[2606:4700::1111]/api/v1", True),
        ("http://127.0.0.1:8080/api/v1", False),
        ("http://[::1]/api/v1", False),
        ("http://[fe80::1%25eth0]/api/v1", False),
        ("http://10.1.2.3/api/v1", False),
        ("http://queue:8080/api/v1", False),
        ("http://queue.default.svc.cluster.local/api/v1", False),
        ("http://api.railway.internal/api/v1", False),
    ],
)
def test_a_token_that_others_can_read_on_the_way_is_noticed(url: str, openly: bool) -> None:
    assert tokens.travels_openly(url) == openly
