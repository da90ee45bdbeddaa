"""A program to download, and a cache with a host that has every program."""

from __future__ import annotations

import hashlib
import threading
from dataclasses import dataclass, field
from pathlib import Path

from jobqueue.worker.programs.cache import Cache
from jobqueue.worker.programs.download import Downloader
from jobqueue.worker.programs.policy import DownloadRules
from tests.support.fake_server import FakeServer, Reply

PROGRAM = b"#!/bin/sh\necho hello\n"


def short_retries() -> DownloadRules:
    """Return rules by which a download that cannot begin is soon given up."""
    return DownloadRules(retry_seconds=0.3)


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
    Downloader(rules or short_retries()).download(url, sha256_of(content), path, stopped or threading.Event())


@dataclass
class Shop:
    """A cache in a folder, a host that has every program under its hash, and targets for what is fetched."""

    folder: Path
    host: FakeServer
    max_bytes: int = 1 << 30
    rules: DownloadRules = field(default_factory=short_retries)
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
