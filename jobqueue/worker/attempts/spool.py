"""Reports on disk, from before they are first sent until the API has answered them.

They survive the death of the worker: the next worker on this host adopts them. They do not survive the death of the
machine, since nothing is forced onto the disk. What is lost then is lost as if the executor had died, and the job runs
again. A report may be sent twice, since the worker can be killed before it reads the answer. By the attempt's
token the API recognizes a replay: it answers a complete or a fail as it did the first time, and refuses a release.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from jobqueue import logs
from jobqueue.worker.host.locked_directory import LockedDirectory

NAME = re.compile(r"(?P<job_id>.+)\.(?P<verb>complete|fail|release)\.[0-9a-f]+\.json")


@dataclass(frozen=True)
class SpooledReport:
    """A report that waits for an answer.

    `on_done` is called when nothing more will be sent: the report is answered, or cannot be read any more. In the
    second case the lease then runs out, and the job runs again.
    """

    job_id: str
    verb: str
    stored: Path | IO[bytes]
    """Where the body is: a file on disk or, when the disk did not take it, a file in memory."""
    on_done: Callable[[], None]

    def open(self) -> AbstractContextManager[IO[bytes]]:
        """Return the body, opened for a `with` statement. Raises OSError."""
        return self.stored.open("rb") if isinstance(self.stored, Path) else nullcontext(self.stored)

    def drop(self) -> None:
        """Free what the report takes up."""
        if isinstance(self.stored, Path):
            self.stored.unlink(missing_ok=True)
        else:
            self.stored.close()


class Spool:
    """The reports of one worker, in a locked directory of its own. Any thread may call `write`."""

    def __init__(self, parent: Path, api_url: str) -> None:
        """Make the directory in `parent`. Raises OSError.

        Workers for different APIs may share `parent`. So the name of the directory depends on the API's URL; it is a
        hash, because the URL may hold a password and names in a shared directory can be read by everybody.
        """
        self._prefix = hashlib.sha256(api_url.encode()).hexdigest()[:12] + "-"
        self._parent = parent
        self._repairing = threading.Lock()
        self._own = LockedDirectory.create(parent, self._prefix)

    @property
    def path(self) -> Path:
        """The directory in which the reports are."""
        return self._own.path

    def write(self, job_id: str, verb: str, body: IO[bytes], on_done: Callable[[], None]) -> SpooledReport:
        """Write a report to disk and close `body`. If the disk does not take it, return `body` as the report instead.

        The file gets its final name when it is complete, so that the next worker never adopts half a report.
        """
        self._repair()
        path = self.path / f"{job_id}.{verb}.{secrets.token_hex(4)}.json"
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
            return SpooledReport(job_id, verb, body, on_done)
        body.close()
        return SpooledReport(job_id, verb, path, on_done)

    def adopt(self) -> Iterator[SpooledReport]:
        """Move the reports of dead workers into this directory and yield them.

        The directory of a dead worker is one whose lock no process holds. This worker holds the lock while it empties
        the directory. So if several workers start together, each report goes to exactly one of them. The directory is
        removed with whatever else is in it, such as half a report.
        """
        for abandoned in LockedDirectory.abandoned(self._parent, self._prefix):
            for path in sorted(abandoned.path.glob("*.json")):
                if name := NAME.fullmatch(path.name):
                    moved = path.rename(self.path / path.name)
                    logs.logger().info("report_found", job_id=name["job_id"], verb=name["verb"])
                    yield SpooledReport(name["job_id"], name["verb"], moved, lambda: None)
            shutil.rmtree(abandoned.path, ignore_errors=True)
            abandoned.close()

    def close(self) -> None:
        """Leave the remaining reports to the next worker on this host; remove the directory if it is empty of them."""
        remaining = list(self.path.glob("*.json"))
        if remaining:
            logs.logger().warning("reports_left", path=str(self.path), reports=len(remaining))
        else:
            shutil.rmtree(self.path, ignore_errors=True)
        self._own.close()

    def _repair(self) -> None:
        """Make the directory again when a job that runs as the worker's user has removed it. Its reports are lost.

        The lock is for the slots' threads. If two of them missed the directory at once and each made one, the second
        would replace the first, and the reports in the first would not be sent before the next start of a worker. If
        the repair fails, `write` fails, too, and keeps its report in memory. So the error is not needed here.
        """
        with self._repairing, suppress(OSError):
            if not self.path.exists():
                logs.logger().error("spool_gone", path=str(self.path))
                self._parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                gone, self._own = self._own, LockedDirectory.create(self._parent, self._prefix)
                gone.close()
