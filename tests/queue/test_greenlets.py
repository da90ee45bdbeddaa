"""The same connections under gevent, whose sockets, locks and threads are other ones."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.paths import ROOT
from tests.support.redis_proxy import Proxy, ScriptedServer, TlsProxy
from tests.support.tls import make_certificate, needs_openssl

pytest.importorskip("gevent")


@needs_openssl
def test_greenlets_share_connections_and_wait_for_a_silent_server_side_by_side(
    redis_url: str, proxy: Proxy, tmp_path: Path
) -> None:
    make_certificate(tmp_path)
    tls, silent = TlsProxy(redis_url, tmp_path), ScriptedServer(lambda command: None)
    with tls.running(), silent.running(), socket.create_server(("127.0.0.1", 0)) as no_handshake:
        urls = [proxy.url, tls.url, silent.url, f"rediss://127.0.0.1:{no_handshake.getsockname()[1]}"]
        command = [sys.executable, "-m", "tests.support.greenlets", *urls]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
