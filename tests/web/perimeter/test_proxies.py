"""`TRUSTED_PROXIES`: what is believed of the headers that proxies add."""

from __future__ import annotations

from typing import Any

import pytest
import redis
from flask import Flask, jsonify, request

from jobqueue.web import config
from jobqueue.web.factory import create_app, create_services
from jobqueue.web.perimeter.hosts import Hosts
from jobqueue.web.perimeter.proxies import plain_address
from jobqueue.web.perimeter.rules import Perimeter
from jobqueue.web.services import Services
from tests.support.bench import Bench
from tests.support.serving import PREFIX
from tests.support.web import HOLDER, JOB

CLIENT, PROXY = "203.0.113.7", "10.0.0.2"
OWN = Hosts(allowed=["queue.example"])


def app(proxies: int) -> Flask:
    """Return an app that trusts so many proxies, with a route that shows what it knows about the client."""
    made = create_app(create_services(config.load({})), Perimeter(OWN, trusted_proxies=proxies))
    made.add_url_rule("/seen", "seen", lambda: jsonify(request.remote_addr, request.scheme, request.host))
    return made


def seen(proxies: int, **headers: str) -> list[Any]:
    """Return address, scheme and host of a request that came from PROXY with these headers."""
    named = {"X-Forwarded-" + name: value for name, value in headers.items()}
    answer = app(proxies).test_client().get("/seen", headers=named, environ_overrides={"REMOTE_ADDR": PROXY})
    assert answer.status_code == 200, answer.text
    known: list[Any] = answer.get_json()
    return known


def test_nobody_is_trusted_by_default() -> None:
    assert config.load({}).trusted_proxies == 0
    headers = {"For": CLIENT, "Proto": "https", "Host": "queue.example", "Port": "444", "Prefix": "/x"}
    assert seen(0, **headers) == [PROXY, "http", "localhost"]


@pytest.mark.parametrize(
    ("proxies", "forwarded_for", "address"),
    [
        (1, CLIENT, CLIENT),
        (1, f"6.6.6.6, {CLIENT}", CLIENT),
        (2, f"{CLIENT}, 10.0.0.1", CLIENT),
        (2, f"6.6.6.6,6.6.6.6,{CLIENT},10.0.0.1", CLIENT),
        (2, CLIENT, PROXY),
        (1, "", PROXY),
    ],
)
def test_the_address_is_the_one_that_the_first_trusted_proxy_saw(
    proxies: int, forwarded_for: str, address: str
) -> None:
    assert seen(proxies, For=forwarded_for)[0] == address


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("203.0.113.7:4711", "203.0.113.7"),
        ("[2001:DB8::1]:4711", "2001:db8::1"),
        ("2001:db8::1", "2001:db8::1"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("fe80::1%eth0 running 1", None),
        ("unknown", None),
        ("_hidden", None),
        ("203.0.113.7 running 1", None),
        ("203.0.113.7\tx", None),
        ("2130706433", None),
        ("1" * 100_000, None),
        ("", None),
    ],
)
def test_an_address_that_cannot_be_does_not_count(text: str, address: str | None) -> None:
    assert plain_address(text) == address
    assert seen(1, For=text)[0] == (address or PROXY)


def test_scheme_host_and_port_are_those_that_the_proxy_names() -> None:
    assert seen(1, Proto="https", Host="queue.example") == [PROXY, "https", "queue.example"]
    assert seen(1, Proto="https", Host="queue.example", Port="8443")[2] == "queue.example:8443"
    assert seen(1, Proto="javascript")[1] == "http"


@pytest.mark.parametrize(
    ("host", "forwarded", "status"),
    [
        ("backend", "queue.example", 200),
        ("queue.example", "queue.example", 200),
        ("backend", "evil.example", 400),
        # A page under evil.example that reaches the server beside its proxy may send any header.
        ("evil.example", "queue.example", 400),
        ("evil.example", "127.0.0.1", 400),
    ],
)
def test_the_host_must_be_known_both_as_it_came_and_as_the_proxy_names_it(
    host: str, forwarded: str, status: int
) -> None:
    headers = {"Host": host, "X-Forwarded-Host": forwarded}
    assert app(1).test_client().get(f"{PREFIX}/openapi.json", headers=headers).status_code == status


@pytest.mark.parametrize(("origin", "status"), [("https://queue.example", 404), ("https://evil.example", 403)])
def test_an_origin_is_compared_with_the_host_that_the_proxy_names(origin: str, status: int) -> None:
    headers = {"Host": "backend:8080", "X-Forwarded-Host": "queue.example", "Origin": origin}
    assert app(1).test_client().post("/nowhere", headers=headers).status_code == status


def test_the_address_of_an_executor_is_the_one_that_the_proxy_names(real_client: redis.Redis) -> None:
    bench = Bench(real_client)
    services = Services(bench.connection, bench.commands, bench.claims, bench.queries)
    client = create_app(services, Perimeter(trusted_proxies=1)).test_client()
    job_id = client.post(f"{PREFIX}/jobs", json=JOB).get_json()["id"]
    client.post(f"{PREFIX}/jobs/claim", json=HOLDER, headers={"X-Forwarded-For": f"6.6.6.6, {CLIENT}"})
    (attempt,) = client.get(f"{PREFIX}/jobs/{job_id}").get_json()["attempts"]
    assert attempt["executor_ip"] == CLIENT
