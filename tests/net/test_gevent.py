"""Sockets and look-ups work where gevent has replaced the blocking calls, as in the processes of the server."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.child_script import output_of
from tests.support.fake_server import in_json
from tests.support.tls import needs_openssl, serving_tls

pytest.importorskip("gevent")

SCRIPT = """
import gevent.monkey
gevent.monkey.patch_all()
import socket, sys, time
import gevent
from pathlib import Path
from jobqueue.client.transport import ApiUnavailable, Transport
from jobqueue.net import network
from jobqueue.net.names import look_up
from jobqueue.net.time_limit import TimeLimit

url, certificate = sys.argv[1:]
assert Transport(url, network.load(Path(certificate), {})).call("GET", "/health", None, 60) == {"status": "healthy"}
assert look_up("localhost", 80, TimeLimit(10))

ticks = []
def tick():
    while True:
        ticks.append(time.monotonic())
        gevent.sleep(0.01)
gevent.spawn(tick)
silent = socket.create_server(("127.0.0.1", 0))
transport = Transport(f"http://127.0.0.1:{silent.getsockname()[1]}")
try:
    transport.call("POST", "/jobs/claim", {}, 0.5)
except ApiUnavailable as error:
    assert "not finished within 0.5 s" in str(error), error
assert len(ticks) > 3, len(ticks)  # nothing was blocked meanwhile
print("done")
"""


@needs_openssl
def test_requests_block_nothing_under_gevent(tmp_path: Path) -> None:
    with serving_tls(tmp_path, lambda _: in_json({"status": "healthy"})) as site:
        assert output_of(SCRIPT, site.url, site.certificate).strip() == "done"
