"""Reports that wait for an answer: written to disk before they are first sent, and sent until the API has answered,
after a restart of the worker, too.

They survive the death of the worker, not that of the machine: nothing is forced onto the disk. What is lost then is
lost as if the executor had died, and the job runs again. A report may be sent twice: the attempt's token tells a repeat
from a second result.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from jobqueue import logs
from jobqueue.backoff import backoff
from jobqueue.client.claims import Claims
from jobqueue.client.transport import ApiRefused, ApiUnavailable
from jobqueue.worker.host.locked_directory import LockedDirectory

FIRST_TRY_SECONDS = 5.0
LATER_TRY_SECONDS = 30.0
LAST_TRY_SECONDS = 3.0
SHORTEST_TRY_SECONDS = 0.1
LONGEST_PAUSE_SECONDS = 5.0
NAME = re.compile(r"(?P<job_id>.+)\.(?P<verb>complete|fail|release)\.[0-9a-f]+\.json")


@dataclass(frozen=True)
class Entry:
    """A report that waits. `on_answered` is called once it is."""

    job_id: str
    verb: str
    stored: Path | IO[bytes]
    """On disk or, when that took nothing, in memory alone."""
    on_answered: Callable[[], None]

    @contextmanager
    def open(self) -> Iterator[IO[bytes]]:
        """Hand out the body. Raises OSError."""
        if isinstance(self.stored, Path):
            with self.stored.open("rb") as body:
                yield body
        else:
            yield self.stored

    def drop(self) -> None:
        """Free what it took."""
        if isinstance(self.stored, Path):
            self.stored.unlink(missing_ok=True)
        else:
            self.stored.close()


class Spool:
    """The reports of one worker, in a directory of its own. Any thread may `send`."""

    def __init__(self, parent: Path, api_url: str, connect: Callable[[], Claims]) -> None:
        """Make the directory in `parent`. Raises OSError.

        Its name tells the API that the reports are for: two workers for two of them may share `parent`.
        """
        self._prefix = hashlib.sha256(api_url.encode()).hexdigest()[:12] + "-"
        self.path = parent
        self._making = threading.Lock()
        self._own = self._make()
        self._connect = connect
        self._waiting: list[Entry] = []
        self._changed = threading.Condition()
        self._closing_at: float | None = None
        self._thread = threading.Thread(target=self._run, name="spool", daemon=True)

    def start(self) -> None:
        """Begin to send what waits, first of all what dead workers have left."""
        for left in LockedDirectory.abandoned(self.path, self._prefix):
            self._adopt(left)
        self._thread.start()

    def send(self, claims: Claims, job_id: str, verb: str, body: IO[bytes], on_answered: Callable[[], None]) -> None:
        """Write a report down, then deliver it."""
        self.deliver(claims, self.write(job_id, verb, body, on_answered))

    def deliver(self, claims: Claims, entry: Entry) -> None:
        """Send what was written, now and by this connection; leave it to the thread when nobody answers."""
        if self._waiting or not self._try(claims, entry, FIRST_TRY_SECONDS):
            self.leave(entry)

    def leave(self, entry: Entry) -> None:
        """Leave it to the thread to send what was written."""
        with self._changed:
            self._waiting.append(entry)
            self._changed.notify_all()

    def wait_until_sent(self, seconds: float) -> bool:
        """Wait until nothing waits, that long at most; return whether nothing does."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._waiting, seconds)

    def close(self, within_seconds: float) -> None:
        """Go on sending for so long, then leave the rest to the next worker on this host. Once closed it stays so."""
        with self._changed:
            if self._closing_at is not None:
                return
            self._closing_at = time.monotonic() + within_seconds
            self._changed.notify_all()
        self._thread.join(within_seconds + 2 * SHORTEST_TRY_SECONDS)
        lost = [entry.job_id for entry in self._waiting if not isinstance(entry.stored, Path)]
        if lost:
            logs.logger().error("reports_lost", job_ids=" ".join(lost))
        left = list(self._own.path.glob("*.json"))
        if left:
            logs.logger().warning("reports_left", path=str(self._own.path), reports=len(left))
        else:
            shutil.rmtree(self._own.path, ignore_errors=True)
        self._own.close()

    def _adopt(self, left: LockedDirectory) -> None:
        for path in sorted(left.path.glob("*.json")):
            if found := NAME.fullmatch(path.name):
                moved = path.rename(self._own.path / path.name)
                self._waiting.append(Entry(found["job_id"], found["verb"], moved, lambda: None))
                logs.logger().info("report_found", job_id=found["job_id"], verb=found["verb"])
        shutil.rmtree(left.path, ignore_errors=True)
        left.close()

    def write(self, job_id: str, verb: str, body: IO[bytes], on_answered: Callable[[], None]) -> Entry:
        """Write a report to disk, to be delivered. Where that takes nothing, it is kept in memory."""
        self._mend()
        path = self._own.path / f"{job_id}.{verb}.{secrets.token_hex(4)}.json"
        part = path.with_suffix(".part")
        body.seek(0)
        try:
            with part.open("wb") as file:
                shutil.copyfileobj(body, file)
            part.rename(path)
        except OSError as error:
            logs.logger().error("spool_failed", job_id=job_id, reason=str(error))
            with suppress(OSError):
                part.unlink()
            return Entry(job_id, verb, body, on_answered)
        body.close()
        return Entry(job_id, verb, path, on_answered)

    def _make(self) -> LockedDirectory:
        return LockedDirectory.create(self.path, self._prefix)

    def _mend(self) -> None:
        """Make the directory again when a job of the worker's own user has removed it. What was in it is lost."""
        with self._making, suppress(OSError):
            if not self._own.path.exists():
                logs.logger().error("spool_gone", path=str(self._own.path))
                self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
                gone, self._own = self._own, self._make()
                gone.close()

    def _run(self) -> None:
        pauses = backoff(0.25, LONGEST_PAUSE_SECONDS)
        with closing(self._connect()) as claims:
            while self._wait_for_work():
                answered = {id(entry) for entry in list(self._waiting) if self._try(claims, entry, self._patience())}
                with self._changed:
                    self._waiting = [entry for entry in self._waiting if id(entry) not in answered]
                    self._changed.notify_all()
                if answered:
                    pauses = backoff(0.25, LONGEST_PAUSE_SECONDS)
                else:
                    self._pause(next(pauses))

    def _wait_for_work(self) -> bool:
        """Wait until something waits; return False when it is closing time and nothing does, or time is over."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._closing_at is not None)
            return bool(self._waiting) and (self._closing_at is None or time.monotonic() < self._closing_at)

    def _pause(self, seconds: float) -> None:
        """Wait that long, or until it is closing time; then but shortly."""
        with self._changed:
            closing_at = self._closing_at
            if closing_at is not None:
                seconds = min(seconds, 0.5, max(closing_at - time.monotonic(), 0))
            self._changed.wait_for(lambda: self._closing_at != closing_at, seconds)

    def _patience(self) -> float:
        if self._closing_at is None:
            return LATER_TRY_SECONDS
        return min(LAST_TRY_SECONDS, max(self._closing_at - time.monotonic(), SHORTEST_TRY_SECONDS))

    def _try(self, claims: Claims, entry: Entry, within_seconds: float) -> bool:
        """Send a report once; return whether it needs no other try."""
        try:
            with entry.open() as body:
                claims.report(entry.job_id, entry.verb, body, within_seconds)
        except ApiUnavailable:
            return False
        except ApiRefused as refused:
            logs.logger().warning("report_refused", job_id=entry.job_id, verb=entry.verb, reason=str(refused))
        except OSError as error:
            logs.logger().error("report_unreadable", job_id=entry.job_id, verb=entry.verb, reason=str(error))
        except Exception as error:  # noqa: BLE001  # whatever one report makes us meet, the thread must live for the others
            logs.logger().exception("crash", job_id=entry.job_id, verb=entry.verb, reason=repr(error))
            return False
        else:
            logs.logger().info(entry.verb, job_id=entry.job_id)
        entry.drop()
        entry.on_answered()
        return True
