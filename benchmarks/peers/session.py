"""A peer that runs: jobs are sent to it, and it says when they ended."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.peers import environments
from benchmarks.peers.catalogue import PEERS, Peer
from benchmarks.rig.children import DidNotHappen, Process, running, stop, wait_until
from benchmarks.rig.store import running_store

JOB_SECONDS = 240.0


class Session:
    """A running peer.

    Its jobs append a line to `log` when they have ended: the time (monotonic, in nanoseconds) and what the program
    printed. The line costs a job a few microseconds.
    """

    def __init__(self, peer: Peer, sender: subprocess.Popen[str], log: Path) -> None:
        self.peer = peer
        self._sender = sender
        self._log = log

    def send(self, count: int, program: Path) -> int:
        """Submit so many jobs; return the time right before the first was sent, in nanoseconds.

        Raises DidNotHappen if the peer has ended.
        """
        assert self._sender.stdin
        assert self._sender.stdout
        self._sender.stdin.write(f"{count} {program}\n")
        self._sender.stdin.flush()
        answer = self._sender.stdout.readline()
        if not answer:
            raise DidNotHappen(f"{self.peer.name} takes no jobs")
        return int(answer)

    def wait_for(self, count: int) -> list[list[str]]:
        """Return the lines of all jobs so far, split into words, as soon as there are so many."""
        wait_until(f"{count} jobs of {self.peer.name}", lambda: len(self._lines()) >= count, JOB_SECONDS)
        return [line.split() for line in self._lines()]

    def _lines(self) -> list[str]:
        return self._log.read_text().splitlines()


class Worker:
    """The process of a peer that runs its jobs. It may be started after they were submitted."""

    def __init__(self, key: str, redis_url: str, folder: Path, log: Path) -> None:
        self._command = [each.replace("{redis}", redis_url) for each in PEERS[key].worker]
        self._interpreter = environments.interpreter(key)
        self._variables = environments.variables(key, redis_url, log)
        self._log = folder / f"{key}.log"

    @contextmanager
    def running(self) -> Iterator[Process | None]:
        """Run it; yields None if the sender runs the jobs."""
        if not self._command:
            yield None
            return
        command = [self._interpreter, *self._command]
        with running(command, self._variables, self._log, environments.APPS) as process:
            yield process


@contextmanager
def session(key: str, folder: Path) -> Iterator[tuple[Session, Worker]]:
    """Start a store and a sender for a peer; yield them with its worker, which is not started yet."""
    peer, log = PEERS[key], folder / f"{key}.ended"
    log.touch()
    with running_store(folder, f"store-of-{key}") as store:
        sender = subprocess.Popen(
            [environments.interpreter(key), *peer.sender],
            cwd=environments.APPS,
            env=environments.variables(key, store.url, log),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL if not os.environ.get("PEER_ERRORS") else None,
            text=True,
        )
        try:
            yield Session(peer, sender, log), Worker(key, store.url, folder, log)
        finally:
            stop(sender)
