"""Large bodies under the real gunicorn: few at a time, little memory, and nobody else waits for them."""

from __future__ import annotations

import gzip
import json
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, nullcontext

import pytest

from jobqueue.errors import ServerBusy
from jobqueue.queue.transport.limits import limited
from jobqueue.web.bodies.large import LARGE_BYTES, LargeBodies, LargeBodyRules
from jobqueue.web.bodies.limits import MIB
from tests.support.clock import HandClock
from tests.support.paths import ROOT
from tests.support.processes import peak_megabytes
from tests.support.serving import Server, at_once, standing_api
from tests.support.web import JOB, UNKNOWN_ID

COMPLETE = f"/jobs/{UNKNOWN_ID}/complete"
RESULT = json.dumps({"executor_id": "a", "exit_code": 0, "stdout": "\0" * MIB, "stderr": "\0" * (MIB - 9000)}).encode()
JSON = {"Content-Type": "application/json"}


@pytest.fixture(scope="module")
def single() -> Iterator[Server]:
    """A server with one process."""
    with standing_api(WEB_CONCURRENCY="1") as server:
        yield server


def peak_mebibytes(server: Server) -> float:
    """Return the most memory that the server's process has had."""
    (pid,) = server.processes()
    return peak_megabytes(pid)


def report(server: Server) -> int:
    """Send a result of 12 MiB for a job that does not exist; return the status of the answer."""
    return server.call("PUT", COMPLETE, data=RESULT, headers=JSON).status_code


@pytest.mark.parametrize(
    "part",
    [b'{"":0},', b"[],", b'{"a":[', b"[", b'"ab",', b"1e5,", b'"\\"",', b'{"a":1,"a":1},'],
    ids=ascii,
)
def test_a_body_of_very_many_values_costs_little_memory(single: Server, part: bytes) -> None:
    body = b"[" + part * (12 * MIB // len(part)) + b"0]"
    for method, path in (("POST", "/jobs/bulk"), ("PUT", COMPLETE)):
        assert single.call(method, path, data=body, headers=JSON).status_code == 400
    assert peak_mebibytes(single) < 250


def test_many_results_of_twelve_mebibytes_at_once_take_the_memory_of_a_few(single: Server) -> None:
    assert set(at_once([lambda: report(single)] * 24)) <= {404, 503}
    assert peak_mebibytes(single) < 350
    assert report(single) == 404


def test_many_small_bodies_that_become_large_take_the_memory_of_a_few(single: Server) -> None:
    data = gzip.compress(b"[" + b" " * (12 * MIB) + b"]", 1)
    headers = {**JSON, "Content-Encoding": "gzip"}

    def submit() -> int:
        return single.call("POST", "/jobs/bulk", data=data, headers=headers).status_code

    assert set(at_once([submit] * 24)) <= {400, 503}
    assert peak_mebibytes(single) < 350
    assert submit() == 400


def test_clients_that_send_slowly_keep_nobody_away(single: Server) -> None:
    lines = [f"PUT /api/v1{COMPLETE} HTTP/1.1", "Host: x", "Content-Type: application/json", "Content-Length: 12000000"]
    head = "\r\n".join([*lines, "", ""]).encode()
    with ExitStack() as stack:
        slow = [stack.enter_context(socket.create_connection(("127.0.0.1", single.port), 15)) for _ in range(8)]
        for client in slow:
            client.sendall(head + b" " * (LARGE_BYTES + 1000))
        assert single.call("POST", "/jobs", JOB).status_code == 201
        assert single.is_healthy()
        assert 404 in [report(single) for _ in range(3)]


def test_a_large_body_that_finds_no_place_in_time_is_refused() -> None:
    bodies = LargeBodies(LargeBodyRules(at_once=1, wait_seconds=0.05))
    place = bodies.enter(lambda: None)
    with pytest.raises(ServerBusy):
        bodies.enter(lambda: None)
    bodies.leave(place)
    bodies.leave(bodies.enter(lambda: None))


def test_one_that_stores_much_keeps_others_waiting_for_a_limited_time() -> None:
    bodies = LargeBodies(LargeBodyRules(store_wait_seconds=0.05))
    with bodies.storing(nullcontext()), pytest.raises(ServerBusy), bodies.storing(nullcontext()):
        pass
    with limited(0.4), pytest.raises(ServerBusy), bodies.storing(nullcontext()):
        pass
    with bodies.storing(nullcontext()):
        pass


def test_only_so_many_wait_for_a_place() -> None:
    bodies = LargeBodies(LargeBodyRules(at_once=0, most_waiting=0))
    with pytest.raises(ServerBusy):
        bodies.enter(lambda: None)


@pytest.mark.parametrize(
    ("seconds", "received", "is_reading", "is_interrupted"),
    [(3, 2 * MIB, True, True), (3, 4 * MIB, True, False), (1, 0, True, False), (60, 0, False, False)],
    ids=["slow", "fast", "new", "complete"],
)
def test_a_client_that_sends_slowly_loses_its_place_if_others_wait(
    seconds: float, received: int, is_reading: bool, is_interrupted: bool
) -> None:
    clock = HandClock(0)
    bodies = LargeBodies(LargeBodyRules(at_once=1, wait_seconds=60), clock)
    interrupted = threading.Event()

    def interrupt() -> None:
        interrupted.set()
        bodies.leave(place)

    place = bodies.enter(interrupt)
    place.received_bytes, place.is_reading, clock.now = received, is_reading, seconds
    waiting = threading.Thread(target=lambda: bodies.leave(bodies.enter(lambda: None)))
    waiting.start()
    if is_interrupted:
        waiting.join(10)
    else:
        waiting.join(0.05)
        bodies.leave(place)
        waiting.join(10)
    assert not waiting.is_alive()
    assert interrupted.is_set() == is_interrupted == place.is_interrupted


UNDER_GEVENT = """
from gevent import monkey
monkey.patch_all()
import gc, gevent, time, weakref
from jobqueue.web.bodies.threads import run_apart

def calculate():
    end = time.monotonic() + 0.3
    while time.monotonic() < end:
        pass
    raise LookupError("expected")

def count():
    global turns
    while True:
        gevent.sleep(0.001)
        turns += 1

turns = 0
gevent.spawn(count)
try:
    run_apart(calculate)
except LookupError as error:
    print(error, turns > 5, run_apart(lambda: 7))

class Body:
    pass

def refuse():
    body = Body()
    bodies.append(weakref.ref(body))
    run_apart(calculate)

gc.disable()
bodies = []
try:
    refuse()
except LookupError:
    pass
print(bodies[0]())
"""


def test_a_long_calculation_does_not_stop_gevents_loop_nor_keeps_what_it_refuses() -> None:
    done = subprocess.run([sys.executable, "-c", UNDER_GEVENT], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("expected True 7\nNone\n", "")
