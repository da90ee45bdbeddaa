"""A download by https: from whom it is, or not at all."""

from __future__ import annotations

import shutil
import ssl
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from jobqueue.worker.download import DownloadFailed
from tests.client.fake_server import Reply, serving
from tests.worker.test_download import PROGRAM, fetch

pytestmark = [
    pytest.mark.usefixtures("short_pauses"),
    pytest.mark.skipif(shutil.which("openssl") is None, reason="makes a certificate with openssl"),
]

MAKE = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -keyout key.pem -out cert.pem"


@dataclass
class Site:
    url: str
    certificate: Path
    handshakes: list[str | None]


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """A host with a certificate for `localhost` that nobody vouches for."""
    names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    subprocess.run([*MAKE.split(), *names], cwd=tmp_path, check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")
    handshakes: list[str | None] = []
    context.sni_callback = lambda _socket, name, _context: handshakes.append(name)
    with serving(lambda _: Reply(body=PROGRAM)) as server:
        listener = server._http.socket
        server._http.socket = context.wrap_socket(listener, server_side=True)
        url = server.url.replace("http", "https").replace("127.0.0.1", "localhost")
        yield Site(url, tmp_path / "cert.pem", handshakes)


def test_a_certificate_that_nobody_vouches_for_is_refused_at_once(site: Site, tmp_path: Path) -> None:
    with pytest.raises(DownloadFailed, match="certificate cannot be trusted: self-signed"):
        fetch(site.url, tmp_path / "program")
    assert site.handshakes == ["localhost"]


def test_a_certificate_of_somebody_else_is_refused_at_once(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("certifi.where", lambda: str(site.certificate))
    with pytest.raises(DownloadFailed, match="certificate cannot be trusted"):
        fetch(site.url.replace("localhost", "127.0.0.1"), tmp_path / "program")
    assert len(site.handshakes) == 1


def test_a_good_certificate_is_good(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("certifi.where", lambda: str(site.certificate))
    fetch(site.url, tmp_path / "program")
    assert (tmp_path / "program").read_bytes() == PROGRAM


def test_a_host_without_tls_is_refused_at_once(tmp_path: Path) -> None:
    with serving(lambda _: Reply(body=PROGRAM)) as server, pytest.raises(DownloadFailed, match="no TLS"):
        fetch(server.url.replace("http", "https"), tmp_path / "program")
