"""Reports on disk, from before they are first sent until the API has answered them.

They survive the death of the worker: the next worker on this host adopts them. They do not survive the death of the
machine, since nothing is forced onto the disk. What is lost then is lost as if the executor had died, and the job runs
again. A report may be sent twice, since the worker can be killed before it reads the answer. By the attempt's
token the API recognizes a replay: it answers a complete or a fail as it did the first time, and refuses a release.

A small report is a line of a journal, which costs one write. A large one has a file of its own, in which its outputs
are copied without ever being in memory.
"""

from __future__ import annotations

import hashlib
import io
import re
import secrets
import shutil
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from jobqueue import logs
from jobqueue.worker.host.locked_directory import LockedDirectory
from jobqueue.worker.reports import journal
from jobqueue.worker.reports.journal import Journal, Line

NAME = re.compile(r"(?P<job_id>.+)\.(?P<verb>complete|fail|release)\.[0-9a-f]+\.json")


@dataclass(frozen=True, eq=False)
class SpooledReport:
    """A report that waits for an answer.

    `on_done` is called when nothing more will be sent: the report is answered, or cannot be read any more. In the
    second case the lease then runs out, and the job runs again.
    """

    job_id: str
    verb: str
    stored: Path | Line | IO[bytes] | bytes
    """Where it is: in a file of its own, in a journal, or in memory when the disk did not take it. A small one (`Line`,
    `bytes`) is a line of a journal, a large one the body of a single request."""
    on_done: Callable[[], None]

    @property
    def is_small(self) -> bool:
        """Whether it may be sent with others."""
        return isinstance(self.stored, Line | bytes)

    @property
    def is_on_disk(self) -> bool:
        """Whether it survives the death of this process."""
        return isinstance(self.stored, Line | Path)

    def open(self) -> AbstractContextManager[IO[bytes]]:
        """Return the body of a single request, opened for a `with` statement. Raises OSError, ValueError."""
        if isinstance(self.stored, Line | bytes):
            return io.BytesIO(journal.as_single(self._line()))
        return self.stored.open("rb") if isinstance(self.stored, Path) else nullcontext(self.stored)

    def result(self) -> bytes:
        """Return a small report as one result of a batch. Raises OSError, ValueError."""
        return journal.as_result(self._line())

    def _line(self) -> bytes:
        if isinstance(self.stored, Line):
            return self.stored.read()
        assert isinstance(self.stored, bytes)  # noqa: S101  # for the type checker: it is small
        return self.stored


class Spool:
    """The reports of one worker, in a locked directory of its own. Any thread may call `append`, `write`, `settle`."""

    def __init__(self, parent: Path, api_url: str) -> None:
        """Make the directory in `parent`. Raises OSError.

        Workers for different APIs may share `parent`. So the name of the directory depends on the API's URL; it is a
        hash, because the URL may hold a password and names in a shared directory can be read by everybody.
        """
        self._prefix = hashlib.sha256(api_url.encode()).hexdigest()[:12] + "-"
        self._parent = parent
        self._lock = threading.Lock()
        self._own = LockedDirectory.create(parent, self._prefix)
        self._journal: Journal | None = None
        self._others: set[Journal] = set()
        """Journals that take no more reports."""

    @property
    def path(self) -> Path:
        """The directory in which the reports are."""
        return self._own.path

    def append(self, job_id: str, verb: str, line: bytes, on_done: Callable[[], None]) -> SpooledReport:
        """Write a small report, a line as `report` makes it, to disk; if the disk does not take it, keep it in
        memory.
        """
        with self._lock:
            try:
                return SpooledReport(job_id, verb, self._open_journal().append(line), on_done)
            except OSError as error:
                logs.logger().error("spool_failed", job_id=job_id, reason=str(error))
                return SpooledReport(job_id, verb, line, on_done)

    def write(self, job_id: str, verb: str, body: IO[bytes], on_done: Callable[[], None]) -> SpooledReport:
        """Write a large report to disk and close `body`. If the disk does not take it, return `body` as the report
        instead.

        The file gets its final name when it is complete, so that the next worker never adopts half a report.
        """
        with self._lock:
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

    def settle(self, reports: Sequence[SpooledReport]) -> None:
        """Free what answered reports take up. What cannot be removed is sent once more by the next worker, which
        changes nothing.
        """
        lines: dict[Journal, list[Line]] = {}
        for report in reports:
            if isinstance(report.stored, Line):
                lines.setdefault(report.stored.journal, []).append(report.stored)
            elif isinstance(report.stored, Path):
                with suppress(OSError):
                    report.stored.unlink(missing_ok=True)
            elif not isinstance(report.stored, bytes):
                report.stored.close()
        with self._lock:
            for of_one, settled in lines.items():
                with suppress(OSError):
                    of_one.settle(settled)
                if of_one.fd < 0:
                    self._others.discard(of_one)

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
                    yield _found(name["job_id"], name["verb"], moved)
                elif journal.NAME.fullmatch(path.name):
                    yield from self._adopt_journal(path.rename(self.path / path.name))
            shutil.rmtree(abandoned.path, ignore_errors=True)
            abandoned.close()

    def close(self) -> None:
        """Leave the remaining reports to the next worker on this host; remove the directory if it is empty of them."""
        with self._lock:
            journals = [*self._others, *([self._journal] if self._journal else [])]
            remaining = sum(len(each.waiting) for each in journals if each.fd >= 0)
        remaining += sum(1 for path in self.path.glob("*.json") if NAME.fullmatch(path.name))
        if remaining:
            logs.logger().warning("reports_left", path=str(self.path), reports=remaining)
        else:
            shutil.rmtree(self.path, ignore_errors=True)
        self._own.close()

    def _adopt_journal(self, path: Path) -> Iterator[SpooledReport]:
        adopted = Journal.adopt(path)
        self._others.add(adopted)
        for line in adopted.lines():
            yield _found(*journal.job_and_verb(line.read()), line)
        if not adopted.waiting:
            path.unlink(missing_ok=True)
            adopted.close()

    def _open_journal(self) -> Journal:
        """Return the journal that takes the next report. Raises OSError. Call it under the lock."""
        current = self._journal
        if current is None or current.fd < 0 or not current.takes_more:
            if current is not None and current.fd >= 0:
                self._others.add(current)  # what waits in it is sent all the same, and then it is removed
            self._repair()
            self._journal = None
            self._journal = current = Journal.create(self.path)
        return current

    def _repair(self) -> None:
        """Make the directory again when a job that runs as the worker's user has removed it. Its reports are lost.

        Call it under the lock. If two threads missed the directory at once and each made one, the second would replace
        the first, and the reports in the first would not be sent before the next start of a worker. If the repair
        fails, what follows fails, too, and keeps its report in memory. So the error is not needed here.
        """
        with suppress(OSError):
            if not self.path.exists():
                logs.logger().error("spool_gone", path=str(self.path))
                self._parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                gone, self._own = self._own, LockedDirectory.create(self._parent, self._prefix)
                gone.close()


def _found(job_id: str, verb: str, stored: Path | Line) -> SpooledReport:
    logs.logger().info("report_found", job_id=job_id, verb=verb)
    return SpooledReport(job_id, verb, stored, lambda: None)
