"""A Redis of a test's own that can be paused, killed and started again with what it has on disk."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from jobqueue.local import redis_server
from jobqueue.local.run import free_port
from tests.support.logins import with_login, write_acl
from tests.support.redis_server import answers
from tests.support.waiting import wait_until


@dataclass
class RestartableRedis:
    """A server with an append-only file in `folder`, not started yet.

    It stores a change before it answers. With the default it may answer up to two seconds earlier while the disk is
    busy, and the tests are not about that.
    """

    folder: Path
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """The URL for the setting REDIS_URL."""
        return with_login(f"redis://127.0.0.1:{self.port}/0")

    def start(self, *more_options: str) -> None:
        """Start it with what is on disk; returns when it answers."""
        options = {
            "--port": str(self.port),
            "--dir": str(self.folder),
            "--appendonly": "yes",
            "--appendfsync": "always",
            "--aclfile": str(write_acl(self.folder)),
        }
        arguments = [word for option in options.items() for word in option]
        log = self.folder / "redis.log"
        with log.open("wb") as file:
            process = self.process = subprocess.Popen(redis_server.command(*arguments, *more_options), stdout=file)
        wait_until("Redis answers or ends", lambda: answers(self.url) or process.poll() is not None)
        assert process.poll() is None, f"Redis has ended: {log.read_text()[-1000:]}"

    def pause(self) -> None:
        """Stop the process: it accepts connections and answers nothing."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Continue a paused process."""
        self._signal(signal.SIGCONT)

    def kill(self) -> None:
        """End it as a crash would; does nothing when it does not run."""
        if self.process is not None:
            self._signal(signal.SIGKILL)
            self.process.wait()
            self.process = None

    def _signal(self, number: signal.Signals) -> None:
        assert self.process is not None
        self.process.send_signal(number)


@contextmanager
def restartable_redis(folder: Path) -> Iterator[RestartableRedis]:
    """A server that is not started yet, and is killed at the end."""
    server = RestartableRedis(folder)
    try:
        yield server
    finally:
        server.kill()
