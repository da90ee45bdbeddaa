"""Whatever exception the libraries raise, and at whatever stage of a request, it ends as an unavailable API."""

from __future__ import annotations

import builtins
import email.errors
import http.client
import io
import json
import socket
import ssl
import zlib
from collections.abc import Iterator
from contextlib import closing
from types import ModuleType

import pytest
import requests
import urllib3
from structlog.testing import capture_logs

from jobqueue.client.transport import ApiUnavailable, Transport
from jobqueue.net.heads import StrictResponse
from jobqueue.net.sockets import GovernedSocket
from tests.support.fake_server import FakeServer

MODULES = [builtins, email.errors, http.client, json, requests.exceptions, socket, ssl, urllib3.exceptions, zlib]


def exceptions() -> Iterator[Exception]:
    """An instance of every exception that the modules define, as bare as it can be made."""
    kinds = {kind for module in MODULES for kind in _kinds(module)}
    for kind in sorted(kinds, key=lambda kind: (kind.__module__, kind.__name__)):
        yield kind.__new__(kind)


def _kinds(module: ModuleType) -> Iterator[type[Exception]]:
    for value in vars(module).values():
        if isinstance(value, type) and issubclass(value, Exception) and not issubclass(value, ExceptionGroup):
            yield value


STAGES = {
    "look-up": (socket, "getaddrinfo"),
    "connecting": (GovernedSocket, "connect_ex"),
    "sending": (GovernedSocket, "send"),
    "receiving": (GovernedSocket, "recv_into"),
    "sending in vain": (http.client.HTTPConnection, "endheaders"),
    "reading the head": (StrictResponse, "begin"),
    "reading the body": (StrictResponse, "read1"),
}


@pytest.mark.parametrize("stage", STAGES)
def test_every_exception_is_an_unavailable_api(server: FakeServer, monkeypatch: pytest.MonkeyPatch, stage: str) -> None:
    raised: list[Exception] = []

    def fail(*_: object, **__: object) -> None:
        raise raised[-1]

    monkeypatch.setattr(*STAGES[stage], fail)
    with capture_logs():
        for exception in exceptions():
            raised.append(exception)
            with closing(Transport(server.url)) as transport, pytest.raises(ApiUnavailable, match=server.url):
                transport.send("PUT", "/jobs/1/complete", io.BytesIO(b"{}"), 0.2)
    assert len(raised) > 150


def test_an_exception_that_no_network_causes_is_logged_once_as_a_bug(
    server: FakeServer, transport: Transport, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise AttributeError("settimeout")

    monkeypatch.setattr(GovernedSocket, "recv_into", fail)
    with capture_logs() as logs:
        for _ in range(3):
            with pytest.raises(ApiUnavailable):
                transport.call("GET", "/jobs/1")
    (log,) = logs
    assert (log["event"], log["exc_info"].__class__) == ("crash", AttributeError)


@pytest.mark.parametrize(
    "error", [ConnectionResetError(104, "Connection reset by peer"), ssl.SSLEOFError(8, "EOF occurred")]
)
def test_an_exception_of_the_network_is_not_logged_as_a_bug(
    server: FakeServer, transport: Transport, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(GovernedSocket, "recv_into", fail)
    with capture_logs() as logs, pytest.raises(ApiUnavailable):
        transport.call("GET", "/jobs/1")
    assert logs == []
