"""A download over https comes from a host with a valid certificate, or fails."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from jobqueue.worker.programs.errors import DownloadFailed
from jobqueue.worker.programs.policy import DownloadRules
from tests.support.downloads import PROGRAM, fetch
from tests.support.fake_server import Reply, serving
from tests.support.hosts import misbehaving
from tests.support.tls import Site, needs_openssl, serving_tls

pytestmark = [pytest.mark.usefixtures("short_pauses"), needs_openssl]


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """A host with a program and a self-signed certificate."""
    with serving_tls(tmp_path, lambda _: Reply(body=PROGRAM)) as site:
        yield site


def test_a_self_signed_certificate_is_refused_at_once(site: Site, tmp_path: Path) -> None:
    with pytest.raises(DownloadFailed, match="certificate cannot be trusted: self-signed"):
        fetch(site.url, tmp_path / "program")
    assert site.handshakes == ["localhost"]


def test_a_certificate_for_another_name_is_refused_at_once(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("certifi.where", lambda: str(site.certificate))
    with pytest.raises(DownloadFailed, match="certificate cannot be trusted"):
        fetch(site.url.replace("localhost", "127.0.0.1"), tmp_path / "program")
    assert len(site.handshakes) == 1


def test_a_valid_certificate_is_accepted(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("certifi.where", lambda: str(site.certificate))
    fetch(site.url, tmp_path / "program")
    assert (tmp_path / "program").read_bytes() == PROGRAM


def test_a_host_without_tls_is_refused_at_once(tmp_path: Path) -> None:
    with serving(lambda _: Reply(body=PROGRAM)) as server, pytest.raises(DownloadFailed, match="no TLS"):
        fetch(server.url.replace("http", "https"), tmp_path / "program")


def test_a_handshake_that_breaks_off_is_tried_again(tmp_path: Path) -> None:
    hellos = []

    def hang_up(connection: socket.socket, _: threading.Event) -> None:
        hellos.append(connection.recv(65536))

    with misbehaving(hang_up) as url, pytest.raises(DownloadFailed, match="the connection ended early"):
        fetch(url.replace("http", "https"), tmp_path / "program", rules=DownloadRules(retry_seconds=1.5))
    assert len(hellos) >= 2
