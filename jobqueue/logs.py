"""One event per line: `event=claim job_id=… executor_id=…`. What is logged is named after the verb that was done."""

from __future__ import annotations

import io
import logging
import os
from collections.abc import Callable
from contextlib import suppress
from typing import TextIO, cast

import structlog
from structlog.typing import EventDict, FilteringBoundLogger

Logger = FilteringBoundLogger
CONTROL_CHARACTERS = {code: repr(chr(code))[1:-1] for code in (*range(32), *range(127, 160))}


class _Lines:
    """Where the lines go, each at once. One that nobody takes (a full disk, a pipe whose reader is gone) is dropped: a
    log must not stop what it tells of.
    """

    def __init__(self, stream: TextIO | None) -> None:
        self._write = _writer(stream)

    def write(self, text: str) -> None:
        """Write a line, or do not."""
        with suppress(OSError):
            self._write(text)

    def flush(self) -> None:
        """Nothing waits."""


def _writer(stream: TextIO | None) -> Callable[[str], object]:
    """Return what writes to a stream. The buffer of a file is passed by: what is in it cannot be dropped any more."""
    if stream is None:
        return lambda _: None
    try:
        fd = stream.fileno()
    except io.UnsupportedOperation:
        return stream.write
    return lambda text: os.write(fd, text.encode(errors="backslashreplace"))


def configure(stream: TextIO | None) -> None:
    """Write events to `stream` (None: nowhere), each on a line of its own however hostile its values are."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="%Y-%m-%dT%H:%M:%SZ", utc=True),
            structlog.processors.format_exc_info,
            escape_control_characters,
            structlog.processors.LogfmtRenderer(key_order=["timestamp", "level", "event"], bool_as_flag=False),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.WriteLoggerFactory(cast("TextIO", _Lines(stream))),
    )


def logger() -> Logger:
    """Return a logger: `logger().info("claim", job_id=…)`."""
    return cast("Logger", structlog.get_logger())


def escape_control_characters(_logger: object, _level: str, event: EventDict) -> EventDict:
    """Return an event that no terminal obeys: its line ends and colours are written out."""
    return {
        name: value.translate(CONTROL_CHARACTERS) if isinstance(value, str) else value for name, value in event.items()
    }
