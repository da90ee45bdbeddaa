"""One event per line: `event=claim job_id=… executor_id=…`. What is logged is named after the verb that was done."""

from __future__ import annotations

import logging
from typing import TextIO, cast

import structlog
from structlog.typing import EventDict, FilteringBoundLogger

Logger = FilteringBoundLogger
CONTROL_CHARACTERS = {code: repr(chr(code))[1:-1] for code in (*range(32), *range(127, 160))}


def configure(stream: TextIO) -> None:
    """Write events to `stream`, each on a line of its own however hostile its values are."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="%Y-%m-%dT%H:%M:%SZ", utc=True),
            structlog.processors.format_exc_info,
            escape_control_characters,
            structlog.processors.LogfmtRenderer(key_order=["timestamp", "level", "event"], bool_as_flag=False),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(stream),
    )


def logger() -> Logger:
    """Return a logger: `logger().info("claim", job_id=…)`."""
    return cast("Logger", structlog.get_logger())


def escape_control_characters(_logger: object, _level: str, event: EventDict) -> EventDict:
    """Return an event that no terminal obeys: its line ends and colours are written out."""
    return {
        name: value.translate(CONTROL_CHARACTERS) if isinstance(value, str) else value for name, value in event.items()
    }
