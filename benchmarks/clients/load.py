"""Sends requests over many connections, as fast as they are answered.

`python -m benchmarks.clients.load PORT COUNT SECONDS` is a process of its own, so that its work does not slow down
whoever watches. Standard input has the requests as a JSON list of texts, which are sent in turn. It ends after COUNT
answers (0: no limit) or SECONDS, and prints a JSON object: how often each status was answered, the seconds that it
took, its own CPU seconds, and latencies in milliseconds.
"""

from __future__ import annotations

import itertools
import json
import os
import selectors
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

CONNECTIONS = 64
HEAD_END = b"\r\n\r\n"


@dataclass(frozen=True)
class Load:
    """What a run of this program has measured."""

    statuses: dict[str, int]
    seconds: float
    cpu_seconds: float
    latencies_ms: list[float]

    @property
    def per_second(self) -> float:
        """Return the rate of answers."""
        return sum(self.statuses.values()) / self.seconds


def send_load(port: int, requests: Sequence[bytes], count: int = 0, seconds: float = 600.0) -> Load:
    """Run this program as a process; return what it measured."""
    command = [sys.executable, "-m", __spec__.name, str(port), str(count), str(seconds)]
    texts = json.dumps([request.decode() for request in requests])
    done = subprocess.run(command, input=texts, capture_output=True, text=True, check=True)
    return Load(**json.loads(done.stdout))


@dataclass
class Client:
    """A connection with one request under way."""

    socket: socket.socket
    sent_at: float = 0.0
    received: bytearray = field(default_factory=bytearray)

    def send(self, request: bytes) -> None:
        """Send the next request. It is small, so the kernel takes it whole."""
        self.received.clear()
        self.sent_at = time.perf_counter()
        self.socket.sendall(request)

    def read(self) -> str | None:
        """Read what there is; return the status of the answer once that is complete. Raises ConnectionError."""
        piece = self.socket.recv(1 << 18)
        if not piece:
            raise ConnectionError("the server has closed a connection")
        self.received += piece
        end = self.received.find(HEAD_END)
        if end < 0:
            return None
        head = bytes(self.received[:end]).lower()
        _, _, rest = head.partition(b"\r\ncontent-length:")
        length = int(rest.split(b"\r\n", 1)[0]) if rest else 0
        return head[9:12].decode() if len(self.received) >= end + len(HEAD_END) + length else None


def run(port: int, requests: Iterator[bytes], count: int, seconds: float) -> dict[str, Any]:
    """Send requests until enough are answered; return what is printed."""
    selector = selectors.DefaultSelector()
    for _ in range(CONNECTIONS):
        connection = socket.create_connection(("127.0.0.1", port))
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        selector.register(connection, selectors.EVENT_READ, Client(connection))
    clients: list[Client] = [key.data for key in selector.get_map().values()]
    statuses: Counter[str] = Counter()
    latencies: list[float] = []
    started = time.perf_counter()
    for client in clients:
        client.send(next(requests))
    while (not count or len(latencies) < count) and time.perf_counter() - started < seconds:
        for key, _ in selector.select(1.0):
            client = key.data
            status = client.read()
            if status is not None:
                statuses[status] += 1
                now = time.perf_counter()
                latencies.append(round((now - client.sent_at) * 1000, 2))
                client.send(next(requests))
    return {
        "statuses": statuses,
        "seconds": time.perf_counter() - started,
        "cpu_seconds": sum(os.times()[:2]),
        "latencies_ms": latencies,
    }


def main(port: str, count: str, seconds: str) -> None:
    """Send, and print what was measured."""
    requests = [text.encode() for text in json.load(sys.stdin)]
    print(json.dumps(run(int(port), itertools.cycle(requests), int(count), float(seconds))))


if __name__ == "__main__":
    main(*sys.argv[1:])
