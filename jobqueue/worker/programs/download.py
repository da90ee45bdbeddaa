"""Downloads a job's program: streamed to disk and hashed on the way, so that no wrong program is ever executable.

A download is made of tries. It goes on for as long as there is progress, within its time limit, and for a while when
there is none: many faults of a network or a server are over within a minute, and another host would do no better.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from jobqueue import logs
from jobqueue.backoff import backoff
from jobqueue.redaction import without_secrets
from jobqueue.worker.failures import Failure
from jobqueue.worker.programs.errors import ChecksumMismatch, DownloadFailed, RetryableFailure
from jobqueue.worker.programs.partial_file import PartialFile
from jobqueue.worker.programs.policy import DownloadRules, Trail
from jobqueue.worker.programs.program_request import ProgramRequest
from jobqueue.worker.programs.transfer import DownloadLimit, Transfer

FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 5.0
"""The bounds of the random pauses before the second try and before later ones."""

ANSWER_SECONDS = 1.0
"""How long after a connection was made the answer to the last try may begin."""

MOST_FAILURES = 100
"""How many URLs' last failures are remembered."""

PAST_CACHES = {"Cache-Control": "no-cache", "Pragma": "no-cache"}


@dataclass(frozen=True)
class FailedTry:
    """How the last try to download from a URL failed, when (monotonic, seconds), and whether it made progress."""

    error: RetryableFailure
    at: float
    progressed: bool


class Downloader:
    """Downloads programs by one set of rules. Any thread may use it."""

    def __init__(self, rules: DownloadRules) -> None:
        self.rules = rules
        self.transfer = Transfer(rules)
        self._failures: OrderedDict[str, FailedTry] = OrderedDict()
        self._lock = threading.Lock()

    def begin(self, request: ProgramRequest, path: Path) -> Download:
        """Return a download to `path` that has made no try yet."""
        return Download(self, request, path)

    def download(self, url: str, sha256: str, path: Path, stopped: threading.Event) -> None:
        """Put the program at `url` into `path`, mode 0500, in as many tries as it takes.

        Raises DownloadFailed, ChecksumMismatch, BlockedByPolicy; DownloadStopped within half a second after the request
        is withdrawn; OSError when the disk is full or this machine is otherwise at fault. After an error `path` may
        hold a file, but not an executable one.
        """
        self.download_requested(ProgramRequest(url, sha256, path, stopped))

    def download_requested(self, request: ProgramRequest) -> None:
        """Put a program straight into its target. Raises as `download` does."""
        with self.begin(request, request.target) as download:
            while not download.try_once():
                download.pause()

    def note_failure(self, url: str, failed: FailedTry) -> None:
        """Remember how the last try to download from a URL failed."""
        with self._lock:
            self._failures.pop(url, None)
            self._failures[url] = failed
            if len(self._failures) > MOST_FAILURES:
                self._failures.popitem(last=False)

    def failure_since(self, url: str, moment: float) -> FailedTry | None:
        """Return how the last try to download from a URL failed; None when that was before the moment, or unknown."""
        with self._lock:
            failed = self._failures.get(url)
        return failed if failed and failed.at > moment else None


class Download:
    """One program's download. For one thread, which calls `try_once` until that returns True, and `pause` in between.

    A try that fails in a way that time may heal is followed by another one, until `retry_seconds` have passed without
    progress since the program was requested. Progress is made of bytes that never arrived before. What has arrived is
    kept, and the next try asks for the rest.

    When the checksum of the whole is wrong, it is downloaded once more, past all caches: one on the way may have
    spoiled the file.
    """

    def __init__(self, downloader: Downloader, request: ProgramRequest, path: Path) -> None:
        self._downloader = downloader
        self._rules = downloader.rules
        self._request = request
        self._path = path
        self._file: PartialFile | None = None
        self._trail = Trail(downloader.rules.addresses)
        self._limit: DownloadLimit | None = None
        self._mismatch: ChecksumMismatch | None = None
        self._last_failure: RetryableFailure | None = None
        self._failed_at = time.monotonic()  # or requested, as long as nothing has failed
        self._renew()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(OSError):  # of a full disk, which has been raised before
            self.close()

    def close(self) -> None:
        """Close the file, complete or not. Raises OSError when the disk is full."""
        if self._file is not None:
            self._file.close()

    def try_once(self) -> bool:
        """Make one try; return whether the program is there, verified, mode 0500.

        Raises what `Downloader.download` raises, when there is no point in another try here.
        """
        self._give_up_with_others()
        if self._limit is None or self._file is None:
            self._limit = DownloadLimit(self._rules, self._request.stopped)
            self._file = PartialFile(self._path)
        self._limit.begin_by = max(self._give_up_at, time.monotonic() + self._rules.connect_seconds + ANSWER_SECONDS)
        again = self._mismatch is not None
        headers = {**(PAST_CACHES if again else {}), **self._file.range_headers(certain=again)}
        try:
            self._downloader.transfer.run(self._request.url, headers, self._limit, self._file, self._trail)
        except RetryableFailure as error:
            self._prepare_another(error, self._limit, self._file)
            return False
        except DownloadFailed as error:
            raise self._explained(error) from error
        return self._verify(self._file)

    def pause(self) -> None:
        """Wait until another try is due. Raises DownloadStopped."""
        self._request.wait(self._pause_seconds)

    def _renew(self) -> None:
        """Wait for progress anew."""
        self._renewed_at = time.monotonic()
        self._give_up_at = self._renewed_at + self._rules.retry_seconds
        self._pauses = backoff(FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS)
        self._pause_seconds = 0.0
        self._furthest = self._file.furthest if self._file else 0

    def _give_up_with_others(self) -> None:
        """When the time is over, and another slot's try for the same URL has failed since ours: raise that failure.

        Slots that wait for one program try one after the other. With a server that is silent, each try takes a while:
        if each slot made a last one of its own, the last slot would wait for a multiple of `retry_seconds`. But when
        the other slot had begun to download, the server is there, and the time begins anew for us, too.
        """
        if time.monotonic() < self._give_up_at:
            return
        failed = self._downloader.failure_since(self._request.url, self._failed_at)
        if failed and failed.progressed:
            self._renew()
        elif failed:
            shared = DownloadFailed(failed.error.message, failed.error.url, failed.error.failure)
            shared.conceal(failed.error.concealed_for)
            raise shared

    def _prepare_another(self, error: RetryableFailure, limit: DownloadLimit, file: PartialFile) -> None:
        """Decide how long to wait before another try. Raises the error when there is no time for one."""
        if self._last_failure is None:
            logs.logger().warning("download_retried", url=without_secrets(error.url), reason=error.message)
        self._last_failure, self._failed_at = error, time.monotonic()
        progressed = self._has_progressed(file)
        self._downloader.note_failure(self._request.url, FailedTry(error, self._failed_at, progressed))
        if progressed:
            self._renew()
        left = min(self._give_up_at - time.monotonic(), limit.left_seconds)
        if left <= 0:
            raise self._explained(error)
        # A server may ask for more time than there is (Retry-After). The last try is made all the same: to give up at
        # once would use up the attempts of a job faster than with a server that says nothing.
        self._pause_seconds = min(error.wait_seconds + next(self._pauses), left)

    def _has_progressed(self, file: PartialFile) -> bool:
        """Whether bytes that never arrived before have arrived since we began to wait, at the minimum speed at least.

        A server that sends a few bytes each time could otherwise keep a slot until the time limit of the download.
        """
        least = self._rules.minimum_speed.bytes_per_second * (time.monotonic() - self._renewed_at)
        return file.furthest - self._furthest > least

    def _explained(self, error: DownloadFailed) -> DownloadFailed:
        """Return what to raise for an error that ends the download."""
        if self._mismatch is not None and error.failure.final:
            # The file was there a moment ago, so its wrong checksum explains more than that it is gone. A fault of the
            # network, on the other hand, leaves open whether the checksum would be wrong past all caches.
            self._path.unlink(missing_ok=True)
            return self._mismatch
        if error.failure is Failure.TOO_LONG and self._last_failure is not None:
            error.message += f"; the last failure was: {self._last_failure.message}"
        return error

    def _verify(self, file: PartialFile) -> bool:
        sha256 = file.sha256()
        if sha256 == self._request.sha256:
            self.close()
            self._path.chmod(0o500)
            return True
        expected, url = self._request.sha256, self._request.url
        mismatch = ChecksumMismatch(f"expected {expected}, got {sha256} with {file.byte_count} bytes", url)
        if self._trail.is_private:
            mismatch.conceal(url)
        if self._mismatch is not None:
            self._path.unlink(missing_ok=True)
            raise mismatch
        self._mismatch = mismatch
        file.restart()
        self._renew()
        return False
