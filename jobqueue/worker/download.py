"""Fetches a job's program: streamed to disk and hashed on the way, and never left there with the wrong hash."""

from __future__ import annotations

import hashlib
import os
import threading
from http import HTTPStatus
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import requests
import urllib3

from jobqueue.client.retry import backoff

CHUNK_BYTES = 256 * 1024
CONNECT_SECONDS = 10.0
SILENCE_SECONDS = 30.0
TRIES = 4


class DownloadFailed(Exception):
    """The program cannot be had. The message says why, for the job's `error_message`."""


class ChecksumMismatch(DownloadFailed):
    """What came is not what was asked for."""


class DownloadStopped(Exception):
    """The download was told to stop."""


def download(url: str, sha256: str, path: Path, stopped: threading.Event) -> None:
    """Put the program at `url` into `path`, executable by us alone.

    Tries again when the network or the server fails in a way that may pass. Raises DownloadFailed, ChecksumMismatch,
    DownloadStopped as soon as `stopped` is set, OSError when the disk does not take it.
    """
    pauses = backoff(0.5, 4)
    for left in reversed(range(TRIES)):
        try:
            found = _fetch(url, path, stopped)
            break
        except _Passing as error:
            if left == 0:
                raise DownloadFailed(f"download failed: {error} ({public(url)})") from error
            if stopped.wait(next(pauses)):
                raise DownloadStopped from error
    if found != sha256:
        path.unlink()
        raise ChecksumMismatch(f"checksum mismatch: expected {sha256}, got {found} ({public(url)})")
    path.chmod(0o500)


def public(url: str) -> str:
    """Return a URL without what may be secret in it: password and query."""
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


class _Passing(Exception):
    """A failure that may be gone the next time."""


def _fetch(url: str, path: Path, stopped: threading.Event) -> str:
    """Return the SHA-256 of what was written to `path`: the bytes as sent, whatever encoding they claim to have."""
    with requests.Session() as session:
        session.trust_env = False
        try:
            response = session.get(
                url, stream=True, timeout=(CONNECT_SECONDS, SILENCE_SECONDS), headers={"Accept-Encoding": "identity"}
            )
        except (requests.ConnectionError, requests.Timeout) as error:
            raise _Passing(type(error).__name__) from error
        except (requests.RequestException, ValueError) as error:  # ValueError: a URL that urllib3 cannot read
            raise DownloadFailed(f"download failed: {error}") from error
        _check_status(response, url)
        return _write(response, path, stopped)


def _check_status(response: requests.Response, url: str) -> None:
    if response.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR or response.status_code in (408, 425, 429):
        raise _Passing(f"{response.status_code} {response.reason}")
    if response.status_code != HTTPStatus.OK:
        raise DownloadFailed(f"download failed: {response.status_code} {response.reason} ({public(url)})")


def _write(response: requests.Response, path: Path, stopped: threading.Event) -> str:
    digest = hashlib.sha256()
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600), "wb") as file:
        while chunk := _read(response):
            if stopped.is_set():
                raise DownloadStopped
            digest.update(chunk)
            file.write(chunk)
    return digest.hexdigest()


def _read(response: requests.Response) -> bytes:
    try:
        chunk: bytes = response.raw.read(CHUNK_BYTES, decode_content=False)
    except (urllib3.exceptions.HTTPError, OSError) as error:
        raise _Passing(type(error).__name__) from error
    return chunk
