"""One try to download a program: from the job's URL, through redirects, to the bytes in the file."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from http import HTTPStatus

from jobqueue.net.connections import headers_for
from jobqueue.net.statuses import is_retryable
from jobqueue.net.time_limit import TimeLimit, TooSlow
from jobqueue.net.urls import join
from jobqueue.worker.failures import Failure
from jobqueue.worker.programs.errors import DownloadFailed, RetryableFailure
from jobqueue.worker.programs.partial_file import PartialFile
from jobqueue.worker.programs.policy import DownloadRules, Trail
from jobqueue.worker.programs.request import Answer, Client

MOST_REDIRECTS = 5
GONE = (HTTPStatus.NOT_FOUND, HTTPStatus.GONE)


class DownloadLimit(TimeLimit):
    """The time limit of a download. Besides, until `begin_by` (monotonic, seconds) an answer has to begin."""

    def __init__(self, rules: DownloadRules, stopped: threading.Event) -> None:
        super().__init__(rules.timeout_seconds, stopped, rules.minimum_speed)
        self.begin_by: float | None = None

    def check(self) -> float:
        """Return for how many seconds to wait, at most, before the next check. Raises as in the base class."""
        wait_seconds = super().check()
        if self.begin_by is None:
            return wait_seconds
        left = self.begin_by - time.monotonic()
        if left <= 0:
            raise TooSlow("too slow: no answer in time")
        return min(wait_seconds, left)


class Transfer:
    """Requests programs by one set of rules. Any thread may use it."""

    def __init__(self, rules: DownloadRules) -> None:
        self._rules = rules
        self._client = Client(rules.connect_seconds, rules.network)

    def run(self, url: str, headers: Mapping[str, str], limit: DownloadLimit, file: PartialFile, trail: Trail) -> None:
        """Request the URL and what it redirects to; write the first answer that is not a redirect.

        `headers` are sent along; those of `PartialFile.range_headers` have the server send only the rest. Failures are
        concealed once the `trail` has led to an address that is not public: also the URL of a redirect is an answer.

        Credentials are sent within one origin only. They are dropped for good when a redirect leaves it. If they were
        sent again after a redirect back to the first origin, the other server could choose what they are used for.
        """
        try:
            self._run(url, headers, limit, file, trail)
        except DownloadFailed as error:
            if trail.is_private:
                error.conceal(url)
            raise

    def _run(self, url: str, headers: Mapping[str, str], limit: DownloadLimit, file: PartialFile, trail: Trail) -> None:
        address, origin, credentials = url, None, None
        for hop in range(1 + MOST_REDIRECTS):
            try:
                place = self._rules.check_url(address)
                trail.come_to(place)
                credentials = place.credentials or (credentials if place.origin == origin else None)
                origin = place.origin
                own = headers_for(place, credentials, last=True)
                with self._client.get(place, {**own, **headers}, limit, trail) as answer:
                    if not answer.location:
                        self._write(answer, limit, file)
                        return
                    address = join(address, answer.location)
            except DownloadFailed as error:
                error.url = error.url or address
                if hop and error.failure is Failure.UNREADABLE:  # the server's mistake, which it may correct
                    error.failure = Failure.REDIRECT
                raise
        raise DownloadFailed(f"more than {MOST_REDIRECTS} redirects", address, Failure.REDIRECT)

    def _write(self, answer: Answer, limit: DownloadLimit, file: PartialFile) -> None:
        resumed = file.byte_count > 0
        if resumed and answer.status == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            file.clear()
            raise RetryableFailure(answer.status_text)
        if is_retryable(answer.status):
            raise RetryableFailure(answer.status_text, answer.retry_after_seconds, Failure.BUSY)
        if answer.status != HTTPStatus.OK and not (resumed and answer.status == HTTPStatus.PARTIAL_CONTENT):
            failure = Failure.NOT_FOUND if answer.status in GONE else Failure.REFUSED
            raise DownloadFailed(answer.status_text, failure=failure)
        kept = file.byte_count if answer.status == HTTPStatus.PARTIAL_CONTENT else 0
        self._rules.check_size(kept + (answer.byte_count or 0))
        file.begin(answer)
        limit.begin_by = None
        for piece in answer.pieces:
            self._rules.check_size(file.byte_count + len(piece))
            file.write(piece)
        file.check_complete()
