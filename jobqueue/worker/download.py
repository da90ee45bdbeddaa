"""Fetches a job's program: streamed to disk and hashed on the way, and never left there with the wrong hash."""

from __future__ import annotations

import hashlib
import os
import threading
from http import HTTPStatus
from pathlib import Path
from urllib.parse import unquote, urljoin, urlsplit

import certifi
import urllib3
from urllib3.exceptions import HTTPError, NewConnectionError, ProtocolError
from urllib3.exceptions import TimeoutError as WaitedTooLong
from urllib3.util import parse_url

from jobqueue.client.retry import backoff
from jobqueue.client.transport import without_secrets

CHUNK_BYTES = 256 * 1024
CONNECT_SECONDS = 10.0
SILENCE_SECONDS = 30.0
TRIES = 4
REDIRECTS = 5
MAY_PASS = (NewConnectionError, ProtocolError, WaitedTooLong)
"""What may be gone the next time."""


class DownloadFailed(Exception):
    """The program cannot be had. The message says why, for the job's `error_message`."""


class ChecksumMismatch(DownloadFailed):
    """What came is not what was asked for."""


class DownloadStopped(Exception):
    """The download was told to stop."""


def download(url: str, sha256: str, path: Path, stopped: threading.Event) -> None:
    """Put the program at `url` into `path`, executable by us alone.

    Tries again when the network or the server fails in a way that may pass. Raises DownloadFailed, ChecksumMismatch,
    DownloadStopped at the next bytes or time-out after `stopped` is set, OSError when the disk does not take it.
    """
    pauses = backoff(0.5, 4)
    for left in reversed(range(TRIES)):
        try:
            found = _fetch(url, path, stopped)
            break
        except _Passing as error:
            if left == 0:
                raise DownloadFailed(f"download failed: {error} ({without_secrets(url)})") from error
            if stopped.wait(next(pauses)):
                raise DownloadStopped from error
    if found != sha256:
        path.unlink()
        raise ChecksumMismatch(f"checksum mismatch: expected {sha256}, got {found} ({without_secrets(url)})")
    path.chmod(0o500)


class _Passing(Exception):
    """A failure that may be gone the next time."""


def _fetch(url: str, path: Path, stopped: threading.Event) -> str:
    """Return the SHA-256 of what was written to `path`: the bytes as sent, whatever encoding they claim to have.

    By urllib3, not requests: that reads the whole body of a redirect before anybody can say no. Nothing is taken from
    the environment, and no password goes to another host than its own.
    """
    with urllib3.PoolManager(ca_certs=certifi.where(), retries=False) as pool:
        for _ in range(1 + REDIRECTS):
            response = _get(pool, url)
            try:
                location = response.get_redirect_location()
                if not location:
                    _check_status(response, url)
                    return _write(response, path, stopped)
                url = _target(url, location)
            finally:
                response.close()
    raise DownloadFailed(f"download failed: more than {REDIRECTS} redirects ({without_secrets(url)})")


def _get(pool: urllib3.PoolManager, url: str) -> urllib3.BaseHTTPResponse:
    try:
        parts = parse_url(url)
        headers = urllib3.make_headers(basic_auth=unquote(parts.auth) if parts.auth else None)
        return pool.request(
            "GET",
            parts._replace(auth=None, fragment=None).url,
            redirect=False,
            preload_content=False,
            decode_content=False,
            timeout=urllib3.Timeout(connect=CONNECT_SECONDS, read=SILENCE_SECONDS),
            headers={**headers, "Accept-Encoding": "identity"},
        )
    except MAY_PASS as error:
        raise _Passing(type(error).__name__) from error
    except (HTTPError, OSError, ValueError) as error:
        raise DownloadFailed(f"download failed: {type(error).__name__} ({without_secrets(url)})") from error


def _target(url: str, location: str) -> str:
    """Return where a redirect leads."""
    try:
        target = urljoin(url, location)
        shown, scheme = without_secrets(target), urlsplit(target).scheme
    except ValueError:
        raise DownloadFailed(f"download failed: redirected to no URL ({without_secrets(url)})") from None
    if scheme not in ("http", "https"):
        raise DownloadFailed(f"download failed: redirected to {shown}")
    return target


def _check_status(response: urllib3.BaseHTTPResponse, url: str) -> None:
    if response.status >= HTTPStatus.INTERNAL_SERVER_ERROR or response.status in (408, 425, 429):
        raise _Passing(f"{response.status} {response.reason}")
    if response.status != HTTPStatus.OK:
        raise DownloadFailed(f"download failed: {response.status} {response.reason} ({without_secrets(url)})")


def _write(response: urllib3.BaseHTTPResponse, path: Path, stopped: threading.Event) -> str:
    digest = hashlib.sha256()
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600), "wb") as file:
        while chunk := _read(response):
            if stopped.is_set():
                raise DownloadStopped
            digest.update(chunk)
            file.write(chunk)
    return digest.hexdigest()


def _read(response: urllib3.BaseHTTPResponse) -> bytes:
    """Return what has come, without waiting for more than a byte."""
    try:
        chunk: bytes = response.read1(CHUNK_BYTES, decode_content=False)
    except (HTTPError, OSError) as error:
        raise _Passing(type(error).__name__) from error
    except ValueError as error:  # a chunk of a negative size
        raise DownloadFailed(f"download failed: {error}") from error
    return chunk
