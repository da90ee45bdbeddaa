"""A server that speaks TLS, with a self-signed certificate."""

from __future__ import annotations

import shutil
import ssl
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.fake_server import Reply, Request, serving

needs_openssl = pytest.mark.skipif(shutil.which("openssl") is None, reason="makes a certificate with openssl")
MAKE = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -keyout key.pem -out cert.pem"


@dataclass
class Site:
    """The URL of a server, its certificate, and the name that each handshake asked for."""

    url: str
    certificate: Path
    handshakes: list[str | None]


def make_certificate(folder: Path, name: str = "localhost") -> None:
    """Make `cert.pem` for that name, signed by itself, and `key.pem`."""
    names = ["-subj", f"/CN={name}", "-addext", f"subjectAltName=DNS:{name}"]
    subprocess.run([*MAKE.split(), *names], cwd=folder, check=True, capture_output=True)


def server_context(folder: Path) -> ssl.SSLContext:
    """Return what a server speaks TLS with that has the certificate in this folder."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    return context


@contextmanager
def serving_tls(folder: Path, answer: Callable[[Request], Reply], name: str = "localhost") -> Iterator[Site]:
    """Serve as that name; the certificate is made in `folder`."""
    make_certificate(folder, name)
    context = server_context(folder)
    handshakes: list[str | None] = []
    context.sni_callback = lambda _socket, name, _context: handshakes.append(name)
    with serving(answer) as server:
        server.speak_tls(context)
        url = server.url.replace("http", "https").replace("127.0.0.1", name)
        yield Site(url, folder / "cert.pem", handshakes)
