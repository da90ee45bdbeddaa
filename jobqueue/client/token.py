"""The token that requests to the API carry, from the settings API_TOKEN and API_TOKEN_FILE."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from threading import Lock

from jobqueue import logs, settings
from jobqueue.access.tokens import is_mistyped
from jobqueue.net.urls import Url
from jobqueue.settings import InvalidSetting, Setting, allow, declare, directory

MAX_CHARACTERS = 4096
TEXT = re.compile(f"[!-~]{{1,{MAX_CHARACTERS}}}")
"""A token: characters that a header can carry and no list of tokens splits. White space around it is left out."""

PRIVATE_NAMES = (".localhost", ".local", ".internal", ".lan", ".home.arpa", ".test")
"""What the names end in that no public name server knows."""

ALLOWED = f"one whole token of at most {MAX_CHARACTERS} visible ASCII characters"

Stamp = tuple[int, ...]


def _whole(text: str) -> str:
    """Return a token, without white space around it. Raises ValueError when it is none, or not whole by its form."""
    text = text.strip()
    text = text.strip()
    return allow(text, TEXT.fullmatch(text) and not is_mistyped(text))


def setting() -> str:
    """Declare API_TOKEN."""
    return declare(Setting("API_TOKEN", "", _whole, ALLOWED, "the token that the API asks for", "none", is_secret=True))


def file_setting() -> Path | None:
    """Declare API_TOKEN_FILE."""
    return directory("API_TOKEN_FILE", None, "a file with that token, which is read again when it changes", "none")


@dataclass(frozen=True)
class _Read:
    """A token, and what the file was like when it was read."""

    text: str = field(repr=False)
    stamp: Stamp = ()


class Token:
    """The token of one program, which all its connections share. Any thread may use it.

    One in a file may be replaced while the program runs. As long as the file cannot be read or holds no token, as may
    happen while it is being replaced, the token that was read last is used.
    """

    def __init__(self, text: str = "", file: Path | None = None, logs_refusals: bool = False) -> None:
        """Read the file, if there is one. Raises InvalidSetting.

        `logs_refusals` is whether the log says when the API begins to refuse the token, and when it accepts it again.
        """
        self._file = file
        self._read = _Read(text)
        self._logs_refusals = logs_refusals
        self._lock = Lock()
        self._is_refused = False
        self._is_unreadable = False
        if file is not None:
            self._read = _first(file)
            if text not in ("", self._read.text):
                raise InvalidSetting("API_TOKEN and the file API_TOKEN_FILE hold different tokens: set one of them.")

    @property
    def is_set(self) -> bool:
        """Whether there is a token."""
        return bool(self._read.text)

    def current(self) -> str:
        """Return the token, "" for none. A file that has changed is read again."""
        if self._file is not None:
            try:
                stamp = _stamp(os.stat(self._file))
            except OSError as error:
                self._note_unreadable(error.strerror or str(error))
            else:
                if stamp != self._read.stamp:
                    self._read_again(self._file)
        return self._read.text

    def replaces(self, refused: str) -> bool:
        """Read the file again, whether it seems to have changed or not; return whether it has another token than one
        that the API has refused.
        """
        if self._file is not None:
            self._read_again(self._file)
        return self._read.text != refused

    def note_refused(self, reason: str) -> None:
        """Note that the API refuses the token, or asks for one."""
        with self._lock:
            is_new, self._is_refused = not self._is_refused, True
        if is_new and self._logs_refusals:
            logs.logger().error("token_refused", reason=reason)

    def note_accepted(self) -> None:
        """Note that the API has answered a request."""
        if not self._is_refused:
            return
        with self._lock:
            was_refused, self._is_refused = self._is_refused, False
        if was_refused and self._logs_refusals:
            logs.logger().info("token_accepted")

    def _read_again(self, file: Path) -> None:
        try:
            read = _read(file)
        except (OSError, ValueError) as error:
            self._note_unreadable(getattr(error, "strerror", None) or str(error))
            return
        # Another thread may have read a newer token meanwhile. The stamp is then not that of the file, and the next
        # request reads it again.
        self._read, self._is_unreadable = read, False

    def _note_unreadable(self, reason: str) -> None:
        with self._lock:
            is_new, self._is_unreadable = not self._is_unreadable, True
        if is_new and self._logs_refusals:
            logs.logger().warning("token_unreadable", path=str(self._file), reason=reason)


@dataclass(frozen=True)
class _Settings:
    text: str = setting()
    file: Path | None = file_setting()  # noqa: RUF009  # a field


def load(variables: Mapping[str, str], api_url: str) -> Token:
    """Return the token for that API as the variables say. Raises InvalidSetting."""
    read = settings.load(_Settings, variables)
    token = Token(read.text, read.file)
    check_url(api_url, token)
    return token


def travels_openly(api_url: str) -> bool:
    """Return whether a token for that API can be read on the way: it is not encrypted, and leaves private networks."""
    url = Url.parse(api_url)
    if url.scheme == "https":
        return False
    host = url.host.strip("[]")
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return "." in host and not host.endswith(PRIVATE_NAMES)
    return not (address.is_private or address.is_loopback or address.is_link_local)


def check_url(api_url: str, token: Token) -> None:
    """Raise InvalidSetting when the URL has a password, which goes into the same header as the token."""
    if token.is_set and Url.parse(api_url).credentials is not None:
        raise InvalidSetting(
            "API_URL holds a user or a password, and there is an API_TOKEN: a request can carry only one."
        )


def _first(file: Path) -> _Read:
    """Return the token in a file. Raises InvalidSetting."""
    try:
        return _read(file)
    except OSError as error:
        problem = f"cannot be read: {error.strerror or error}"
    except ValueError as error:
        problem = str(error)
    raise InvalidSetting(f"API_TOKEN_FILE={file} {problem}.")


def _read(file: Path) -> _Read:
    """Return the token in a file. Raises OSError, and ValueError with a text that quotes nothing of the file."""
    # Without O_NONBLOCK, to open a pipe would wait for somebody who writes to it.
    descriptor = os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise ValueError("is not a regular file")
        content = os.read(descriptor, 2 * MAX_CHARACTERS)
    finally:
        os.close(descriptor)
    try:
        return _Read(_whole(content.decode("latin-1")), _stamp(status))
    except ValueError:
        raise ValueError(f"must hold {ALLOWED}, and nothing else") from None


def _stamp(status: os.stat_result) -> Stamp:
    return (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
