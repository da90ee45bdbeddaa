"""The log, with one event on each line: `event=claim job_id=… executor_id=…`. Events are named after what was done."""

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
    """Writes each line to a stream at once. A line that cannot be written (the disk is full, the reader of the pipe is
    gone) is dropped: logging must not stop the work that is logged.
    """

    def __init__(self, stream: TextIO | None) -> None:
        self._write = _writer(stream)

    def write(self, text: str) -> None:
        """Write a line, or drop it."""
        with suppress(OSError):
            self._write(text)

    def flush(self) -> None:
        """Do nothing: no line is buffered."""


def _writer(stream: TextIO | None) -> Callable[[str], object]:
    """Return a function that writes text to a stream."""
    if stream is None:
        return lambda _: None
    # A file's own buffer is bypassed. A line that could not be written would stay in the buffer, and every later write
    # and the interpreter's exit would fail on it again.
    try:
        fd = stream.fileno()
    except io.UnsupportedOperation:
        return stream.write
    return lambda text: os.write(fd, text.encode(errors="backslashreplace"))


def configure(stream: TextIO | None) -> None:
    """Write events to `stream` (None: nowhere), each on a single line whatever its values contain."""
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
    """Return the event with control characters in its values written as escapes, so that no terminal obeys them."""
    return {
        name: value.translate(CONTROL_CHARACTERS) if isinstance(value, str) else value for name, value in event.items()
    }
