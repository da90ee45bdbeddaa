"""Downloads a job's program: streamed to disk and hashed on the way, so that no wrong program is ever executable."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path

from jobqueue.backoff import backoff
from jobqueue.net.statuses import is_retryable
from jobqueue.net.time_limit import TimeLimit
from jobqueue.net.urls import join
from jobqueue.worker.programs.errors import ChecksumMismatch, DownloadFailed, DownloadStopped, RetryableFailure
from jobqueue.worker.programs.policy import DownloadRules
from jobqueue.worker.programs.request import Answer, Client, headers_for

TRIES = 4
MOST_REDIRECTS = 5
PAST_CACHES = {"Cache-Control": "no-cache", "Pragma": "no-cache"}


class Downloader:
    """Downloads programs by one set of rules. Any thread may use it."""

    def __init__(self, rules: DownloadRules) -> None:
        self._rules = rules
        self._client = Client(rules.connect_seconds, rules.network)

    def download(self, url: str, sha256: str, path: Path, stopped: threading.Event) -> None:
        """Put the program at `url` into `path`, mode 0500.

        Tries again when the network or the server fails in a way that may pass. When the checksum is wrong, there is
        a second round of as many tries, past all caches. Both rounds share one time limit.

        Raises DownloadFailed, ChecksumMismatch, BlockedByPolicy; DownloadStopped within half a second after `stopped`
        is set; OSError when the disk is full or this machine is otherwise at fault. After an error `path` may hold a
        file, but not an executable one.
        """
        limit = TimeLimit(self._rules.timeout_seconds, stopped, self._rules.minimum_speed)
        download = _Download(url, path, self._rules, self._client, limit)
        got, byte_count = download.fetch({})
        if got != sha256:
            # A cache on the way may have spoiled the file. If it cannot be fetched again, its wrong checksum is the
            # better explanation: the file was there a moment ago.
            with suppress(DownloadFailed):
                got, byte_count = download.fetch(PAST_CACHES)
        if got != sha256:
            path.unlink(missing_ok=True)
            raise ChecksumMismatch(f"expected {sha256}, got {got} with {byte_count} bytes", url)
        path.chmod(0o500)


@dataclass(frozen=True)
class _Download:
    """The tries to download one program."""

    url: str
    path: Path
    rules: DownloadRules
    client: Client
    limit: TimeLimit

    def fetch(self, headers: Mapping[str, str]) -> tuple[str, int]:
        """Write the file, in a few tries; return its SHA-256 and its size. `headers` are sent along."""
        pauses = backoff(0.5, 4)
        for _ in range(TRIES - 1):
            try:
                return self._follow(headers)
            except RetryableFailure as error:
                if error.wait_seconds > self.limit.left_seconds:
                    raise
                pause_seconds = error.wait_seconds + next(pauses)
            if self.limit.pause(pause_seconds):
                raise DownloadStopped
        return self._follow(headers)

    def _follow(self, headers: Mapping[str, str]) -> tuple[str, int]:
        """Request the URL and what it redirects to; write the first answer that is not a redirect.

        Credentials are sent within one origin only. They are dropped for good when a redirect leaves it. If they were
        sent again after a redirect back to the first origin, the other server could choose what they are used for.
        """
        address, origin, credentials = self.url, None, None
        for _ in range(1 + MOST_REDIRECTS):
            try:
                url = self.rules.check_url(address)
                credentials = url.credentials or (credentials if url.origin == origin else None)
                origin = url.origin
                with self.client.get(url, {**headers_for(url, credentials), **headers}, self.limit) as answer:
                    if not answer.location:
                        return self._write(answer)
                    address = join(address, answer.location)
            except DownloadFailed as error:
                error.url = error.url or address
                raise
        raise DownloadFailed(f"more than {MOST_REDIRECTS} redirects", address)

    def _write(self, answer: Answer) -> tuple[str, int]:
        if is_retryable(answer.status):
            raise RetryableFailure(answer.status_text, answer.retry_after_seconds)
        if answer.status != HTTPStatus.OK:
            raise DownloadFailed(answer.status_text)
        self.rules.check_size(answer.byte_count or 0)
        digest, byte_count = hashlib.sha256(), 0
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW
        with open(os.open(self.path, flags, 0o600), "wb") as file:
            for piece in answer.pieces:
                byte_count += len(piece)
                self.rules.check_size(byte_count)
                digest.update(piece)
                file.write(piece)
        return digest.hexdigest(), byte_count
