"""Executors that ask for jobs: `python -m benchmarks.clients.waiters PORT COUNT WAIT_SECONDS`.

Each has a connection of its own and asks again as soon as its request was answered with nothing; without waiting
(WAIT_SECONDS 0), a second later, as the documentation says. Standard output gets a line `waiting` once all have asked,
and a line for each job: the time (monotonic, nanoseconds) at which its answer was there, and the job's id. It ends
with its standard input, and prints how many requests it has sent then.
"""

from __future__ import annotations

import heapq
import json
import os
import selectors
import socket
import sys
import time
from dataclasses import dataclass, field

from benchmarks.clients.load import Client
from benchmarks.clients.requests import request_bytes

POLL_SECONDS = 1.0
AT_ONCE = 20
"""So many connect in a row; then there is a pause, as a thousand machines do not start in the same instant."""

RAMP_SECONDS = 0.02
SOON_SECONDS = 0.5


@dataclass
class Waiters:
    """All executors."""

    port: int
    wait_seconds: float
    selector: selectors.BaseSelector = field(default_factory=selectors.DefaultSelector)
    later: list[tuple[float, int]] = field(default_factory=list)
    clients: list[Client] = field(default_factory=list)
    sent: int = 0

    def add(self) -> None:
        """Add an executor, which asks at once."""
        self.clients.append(self.connect(len(self.clients)))
        self.ask(len(self.clients) - 1)

    def connect(self, number: int) -> Client:
        """Return a new connection of an executor."""
        connection = socket.create_connection(("127.0.0.1", self.port))
        self.selector.register(connection, selectors.EVENT_READ, number)
        return Client(connection)

    def ask(self, number: int) -> None:
        """Ask for a job."""
        wait = {"wait_seconds": self.wait_seconds} if self.wait_seconds else {}
        self.sent += 1
        self.clients[number].send(request_bytes("POST", "/jobs/claim", {"executor_id": f"waiter-{number}", **wait}))

    def serve(self, seconds: float) -> bool:
        """Handle what happens within that time; return whether standard input goes on."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            while self.later and self.later[0][0] <= time.monotonic():
                self.ask(heapq.heappop(self.later)[1])
            if self.later:
                left = max(0.0, min(left, self.later[0][0] - time.monotonic()))
            for key, _ in self.selector.select(left):
                if key.data is None:
                    if not os.read(0, 4096):
                        return False
                else:
                    self.read(key.data)
        return True

    def read(self, number: int) -> None:
        """Read an answer, and ask again."""
        client = self.clients[number]
        try:
            status = client.read()
        except ConnectionError:
            status = "closed"
            self.selector.unregister(client.socket)
            client.socket.close()
            self.clients[number] = self.connect(number)
        if status is None:
            return
        now = time.monotonic_ns()
        pause = 0.0
        if status == "200":
            print(now, json.loads(client.received.partition(b"\r\n\r\n")[2])["id"], flush=True)
        elif time.perf_counter() - client.sent_at < SOON_SECONDS:
            pause = POLL_SECONDS  # it does not wait, or too many do
        if pause:
            heapq.heappush(self.later, (time.monotonic() + pause, number))
        else:
            self.ask(number)


def main(port: str, count: str, wait_seconds: str) -> None:
    """Ask until standard input ends."""
    waiters = Waiters(int(port), float(wait_seconds))
    waiters.selector.register(0, selectors.EVENT_READ, None)
    while len(waiters.clients) < int(count):
        for _ in range(min(AT_ONCE, int(count) - len(waiters.clients))):
            waiters.add()
        waiters.serve(RAMP_SECONDS)
    print("waiting", flush=True)
    while waiters.serve(POLL_SECONDS):
        pass
    print("sent", waiters.sent, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
