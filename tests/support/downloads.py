"""A program to download, hosts that have it or misbehave, and a cache to download it into."""

from __future__ import annotations

import hashlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from jobqueue.worker.programs.cache import Cache
from jobqueue.worker.programs.download import Downloader, DownloadRules
from tests.support.fake_server import FakeServer, Reply

PROGRAM = b"#!/bin/sh\necho hello\n"


def sha256_of(content: bytes) -> str:
    """Return the hash by which a program is known."""
    return hashlib.sha256(content).hexdigest()


def fetch(
    url: str,
    path: Path,
    content: bytes = PROGRAM,
    stopped: threading.Event | None = None,
    rules: DownloadRules | None = None,
) -> None:
    """Download a program that should have this content."""
    Downloader(rules or DownloadRules()).download(url, sha256_of(content), path, stopped or threading.Event())


@dataclass
class Shop:
    """A cache in a folder, a host that has every program under its hash, and targets for what is fetched."""

    folder: Path
    host: FakeServer
    max_bytes: int = 1 << 30
    rules: DownloadRules = field(default_factory=DownloadRules)
    programs: dict[str, bytes] = field(default_factory=dict)
    stopped: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.host.answer = lambda request: Reply(body=self.programs[request.path[1:]])
        self.fetch_count = 0

    @property
    def directory(self) -> Path:
        """Where the cache lies."""
        return self.folder / "cache"

    def open(self) -> Cache:
        """Return the cache as another worker would open it."""
        return Cache(self.directory, self.max_bytes, self.rules)

    def fetch(self, cache: Cache, content: bytes = PROGRAM, target: Path | None = None) -> bool:
        """Fetch a program into a new target, which is then the `latest`; return whether it came from the cache."""
        sha256 = sha256_of(content)
        self.programs.setdefault(sha256, content)
        self.fetch_count += 1
        self.latest = target or self.folder / f"program-{self.fetch_count}"
        return cache.fetch(f"{self.host.url}/{sha256}", sha256, self.latest, self.stopped)

    def entry(self, content: bytes = PROGRAM) -> Path:
        """Return where the cache keeps a program."""
        return self.directory / sha256_of(content)[:2] / sha256_of(content)

    def files(self) -> set[str]:
        """Return the names of all files in the cache."""
        return {path.name for path in self.directory.rglob("*") if not path.is_dir()}


@contextmanager
def at_most(seconds: float) -> Iterator[None]:
    """Fail when the context takes longer."""
    begun = time.monotonic()
    yield
    assert time.monotonic() - begun < seconds


Behaviour = Callable[[socket.socket, threading.Event], None]
"""What a host does with a connection, until the event is set."""


@contextmanager
def misbehaving(behave: Behaviour) -> Iterator[str]:
    """A host that treats every connection like this; yields its URL."""
    over = threading.Event()
    listener = socket.create_server(("127.0.0.1", 0))

    def treat(connection: socket.socket) -> None:
        with connection, suppress(OSError):
            behave(connection, over)

    def accept() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=treat, args=(connection,), daemon=True).start()

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        over.set()
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()
        listener.close()


HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n"


def _drip(connection: socket.socket, over: threading.Event, drop: bytes = b"x") -> None:
    while not over.wait(0.05):
        connection.sendall(drop)


def silent(_: socket.socket, over: threading.Event) -> None:
    """Accept the connection and send nothing."""
    over.wait()


def dripping_status(connection: socket.socket, over: threading.Event) -> None:
    """Send a status line that does not end, a byte at a time."""
    _drip(connection, over)


def dripping_header(connection: socket.socket, over: threading.Event) -> None:
    """Send a header that does not end, a byte at a time."""
    connection.sendall(HEAD + b"X-Slow: ")
    _drip(connection, over)


def endless_continue(connection: socket.socket, over: threading.Event) -> None:
    """Send one interim answer after another."""
    while not over.wait(0.02):
        connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")


def dripping_body(connection: socket.socket, over: threading.Event) -> None:
    """Send the body a byte at a time."""
    connection.sendall(HEAD + b"\r\n")
    _drip(connection, over)


def dripping_chunks(connection: socket.socket, over: threading.Event) -> None:
    """Send chunks of one byte."""
    connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    _drip(connection, over, b"1\r\nx\r\n")


def dripping_chunk_size(connection: socket.socket, over: threading.Event) -> None:
    """Send a chunk size that does not end, a byte at a time."""
    connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    _drip(connection, over, b"0")


def unfinished_body(connection: socket.socket, over: threading.Event) -> None:
    """Send some of the body and fall silent."""
    connection.sendall(HEAD + b"\r\nabc")
    over.wait()


BEHAVIOURS: list[Behaviour] = [
    silent,
    dripping_status,
    dripping_header,
    endless_continue,
    dripping_body,
    dripping_chunks,
    dripping_chunk_size,
    unfinished_body,
]
