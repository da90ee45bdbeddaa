"""Requests to the API go through the proxy that the environment names, and its faults are named as such."""

from __future__ import annotations

import socket
from contextlib import closing
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from jobqueue.client.transport import ApiUnavailable, Transport
from jobqueue.net import network
from tests.support.fake_server import FakeServer, in_json, nobody
from tests.support.hosts import Behaviour, misbehaving, resetting_after, silent
from tests.support.proxy import proxying
from tests.support.tls import needs_openssl, serving_tls

API = "http://queue.test:8080/api/v1"


def transport_for(api_url: str, ca_file: Path | None = None, **variables: str) -> Transport:
    return Transport(api_url, network.load(ca_file, variables))


def test_a_request_goes_through_the_proxy(server: FakeServer) -> None:
    server.answer = lambda _: in_json({"id": "1"})
    with proxying(server.url) as proxy:
        url = proxy.url.replace("//", "//us%40r:canary@")
        with closing(transport_for(API, HTTP_PROXY=url)) as transport:
            assert transport.call("PUT", "/jobs/1", {}) == {"id": "1"}
            assert transport.call("PUT", "/jobs/2", {}) == {"id": "1"}
    assert proxy.request_lines == ["PUT http://queue.test:8080/api/v1/jobs/1 HTTP/1.1"]  # then it leads to the server
    assert "Host: queue.test:8080\r\n" in proxy.heads[0]
    assert "Proxy-Authorization: Basic dXNAcjpjYW5hcnk=\r\n" in proxy.heads[0]


@needs_openssl
def test_a_request_over_tls_goes_through_a_tunnel(tmp_path: Path) -> None:
    with serving_tls(tmp_path, lambda _: in_json({"id": "1"}), "queue.test") as site, proxying(site.url) as proxy:
        url = proxy.url.replace("//", "//user:canary@")
        with closing(transport_for("https://queue.test/api/v1", site.certificate, HTTPS_PROXY=url)) as transport:
            assert transport.call("GET", "/jobs/1") == {"id": "1"}
    assert proxy.request_lines == ["CONNECT queue.test:443 HTTP/1.1"]
    assert "Proxy-Authorization: Basic dXNlcjpjYW5hcnk=\r\n" in proxy.heads[0]
    assert site.handshakes == ["queue.test"]


def test_this_machine_is_requested_directly(server: FakeServer) -> None:
    with nobody() as proxy, closing(transport_for(server.url, ALL_PROXY=proxy)) as transport:
        assert transport.call("GET", "/health") == {}


@pytest.mark.parametrize("api_url", [API, API.replace("http", "https")])
def test_a_proxy_that_is_not_there_is_named(api_url: str) -> None:
    with nobody() as url, closing(transport_for(api_url, ALL_PROXY=url.replace("//", "//user:canary@"))) as transport:
        with pytest.raises(ApiUnavailable, match=f"the proxy {url} cannot be reached: Connection refused") as caught:
            transport.call("GET", "/health")
        assert "canary" not in str(caught.value)


def test_a_proxy_without_an_address_is_named() -> None:
    with (
        closing(transport_for(API, ALL_PROXY="http://proxy..test")) as transport,
        pytest.raises(ApiUnavailable, match=r"the proxy http://proxy\.\.test:80 cannot be reached"),
    ):
        transport.call("GET", "/health")


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n", "407"),
        (b"HTTP/1.1 403 Forbidden by policy\r\n\r\n<html>", "403 Forbidden by policy"),
        (b"HTTP/1.0 502 Bad Gateway\r\n\r\n", "502"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "CONNECT"),
        (b"HTTP/1.1 200 OK\r\nHalf: a hea", "CONNECT"),
    ],
)
def test_a_proxy_that_refuses_a_tunnel_is_named(server: FakeServer, answer: bytes, words: str) -> None:
    with (
        proxying(server.url, answer) as proxy,
        closing(transport_for("https://queue.test/", HTTPS_PROXY=proxy.url)) as transport,
        pytest.raises(ApiUnavailable, match=f"the proxy {proxy.url} .*{words}"),
    ):
        transport.call("GET", "/health")


def test_a_proxy_that_asks_for_a_password_is_named(server: FakeServer) -> None:
    answer = b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 6\r\n\r\n<html>"
    with (
        proxying(server.url, answer) as proxy,
        closing(transport_for(API, HTTP_PROXY=proxy.url)) as transport,
        pytest.raises(ApiUnavailable, match="407 from the proxy"),
    ):
        transport.call("GET", "/health")


@pytest.mark.parametrize("behave", [silent, resetting_after(b""), resetting_after(b"HTTP/1.1 200 O")])
def test_a_proxy_that_does_not_answer_is_given_up_in_time(behave: Behaviour) -> None:
    with (
        misbehaving(behave) as url,
        closing(transport_for("https://queue.test/", https_proxy=url)) as transport,
        pytest.raises(ApiUnavailable),
    ):
        transport.call("GET", "/health", within_seconds=0.3)


def test_the_proxies_are_logged_without_passwords() -> None:
    with capture_logs() as logs:
        network.load(None, {"HTTP_PROXY": "http://user:canary@proxy:3128", "NO_PROXY": "a.test,10.0.0.0/8"})
    assert logs == [
        {
            "event": "proxies",
            "http": "http://proxy:3128",
            "https": "none",
            "direct": "a.test,10.0.0.0/8",
            "log_level": "info",
        }
    ]


def test_the_names_of_servers_are_looked_up_by_the_proxy(server: FakeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    names: list[str] = []
    look_up = socket.getaddrinfo

    def note(host: str, *more: object, **options: object) -> object:
        names.append(host)
        return look_up(host, *more, **options)  # type: ignore[arg-type]

    with proxying(server.url) as proxy, closing(transport_for(API, HTTP_PROXY=proxy.url)) as transport:
        monkeypatch.setattr("socket.getaddrinfo", note)
        assert transport.call("GET", "/health") == {}
    assert set(names) == {"127.0.0.1"}  # once here, once in the proxy
