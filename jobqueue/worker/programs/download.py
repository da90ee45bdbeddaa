"""Fetches a job's program: streamed to disk and hashed on the way, and never left there with the wrong hash."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from urllib.parse import urljoin

from jobqueue.backoff import backoff
from jobqueue.worker.programs.errors import BlockedByPolicy, ChecksumMismatch, DownloadFailed, DownloadStopped, MayPass
from jobqueue.worker.programs.patience import Patience
from jobqueue.worker.programs.policy import DownloadRules
from jobqueue.worker.programs.request import Address, Answer, Origins

__all__ = [
    "BlockedByPolicy",
    "ChecksumMismatch",
    "DownloadFailed",
    "DownloadRules",
    "DownloadStopped",
    "allowed_address",
    "download",
]

TRIES = 4
REDIRECTS = 5
MAY_PASS = (408, 425, 429)
"""Client errors that pass with time; so does every 5xx."""
DEFAULT_RULES = DownloadRules()
NOT_FROM_A_CACHE = {"Cache-Control": "no-cache", "Pragma": "no-cache"}


def download(url: str, sha256: str, path: Path, stopped: threading.Event, rules: DownloadRules = DEFAULT_RULES) -> None:
    """Put the program at `url` into `path`, executable by us alone.

    Tries again when the network or the server fails in a way that may pass, and once more, past all caches, when the
    checksum is wrong. Raises DownloadFailed, ChecksumMismatch, BlockedByPolicy; DownloadStopped within half a second
    after `stopped` is set; OSError when the disk does not take it. Then `path` may hold a file, but no executable one.
    """
    attempt = _Download(url, path, rules, Patience(stopped, rules.timeout_seconds))
    found = attempt.fetch({})
    if found.sha256 != sha256:
        found = attempt.fetch_again(found)
    if found.sha256 != sha256:
        path.unlink(missing_ok=True)
        raise ChecksumMismatch(f"expected {sha256}, got {found.sha256} with {found.byte_count} bytes", url)
    path.chmod(0o500)


def allowed_address(url: str, rules: DownloadRules) -> Address:
    """Return where a URL leads. Raises DownloadFailed when it cannot be read, BlockedByPolicy."""
    try:
        address = Address.of(url)
        rules.check(address.scheme, address.host, address.port)
    except DownloadFailed as error:
        error.url = url
        raise
    return address


@dataclass(frozen=True)
class _Found:
    """What came."""

    sha256: str
    byte_count: int


class _Download:
    """The tries to fetch one program. Nothing is taken from the environment: no proxy, no `.netrc`."""

    def __init__(self, url: str, path: Path, rules: DownloadRules, patience: Patience) -> None:
        self._url = url
        self._path = path
        self._rules = rules
        self._patience = patience
        self._origins = Origins(patience)

    def fetch(self, headers: Mapping[str, str]) -> _Found:
        """Write the file, in a few tries."""
        pauses = backoff(0.5, 4)
        for left in reversed(range(TRIES)):
            try:
                return self._follow(headers)
            except MayPass as error:
                if left == 0 or error.wait_seconds > self._patience.left_seconds:
                    raise
                self._patience.pause(error.wait_seconds + next(pauses))
        raise AssertionError("the last try returns or raises")

    def fetch_again(self, wrong: _Found) -> _Found:
        """Write the file again, past all caches; return `wrong`, which has come before, when that fails."""
        try:
            return self.fetch(NOT_FROM_A_CACHE)
        except DownloadFailed:
            return wrong

    def _follow(self, headers: Mapping[str, str]) -> _Found:
        """Go where redirects lead. Credentials go along within one origin; whoever leaves it has none any more."""
        url, here, credentials = self._url, None, None
        for _ in range(1 + REDIRECTS):
            try:
                address = allowed_address(url, self._rules)
                credentials = address.credentials or (credentials if address.origin == here else None)
                here = address.origin
                with self._origins.ask(address, headers, credentials) as answer:
                    if not answer.location:
                        return self._write(answer)
                    url = _joined(url, answer.location)
            except DownloadFailed as error:
                error.url = error.url or url
                raise
        raise DownloadFailed(f"more than {REDIRECTS} redirects", url)

    def _write(self, answer: Answer) -> _Found:
        _check_status(answer)
        self._check_size(answer.byte_count or 0)
        digest, byte_count = hashlib.sha256(), 0
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW
        with open(os.open(self._path, flags, 0o600), "wb") as file:
            for piece in answer.pieces():
                byte_count += len(piece)
                self._check_size(byte_count)
                digest.update(piece)
                file.write(piece)
        return _Found(digest.hexdigest(), byte_count)

    def _check_size(self, byte_count: int) -> None:
        if byte_count > self._rules.max_bytes:
            raise DownloadFailed(f"larger than {self._rules.max_bytes} bytes")


def _joined(url: str, location: str) -> str:
    try:
        return urljoin(url, location)
    except ValueError:
        raise DownloadFailed("redirected to no URL") from None


def _check_status(answer: Answer) -> None:
    if answer.number >= HTTPStatus.INTERNAL_SERVER_ERROR or answer.number in MAY_PASS:
        raise MayPass(answer.status, answer.retry_after_seconds)
    if answer.number != HTTPStatus.OK:
        raise DownloadFailed(answer.status)
