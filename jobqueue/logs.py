"""One event per line: `event=claim job_id=… executor_id=…`. What is logged is named after the verb that was done."""

from __future__ import annotations

import logging
import sys
from typing import cast

import structlog
from structlog.typing import FilteringBoundLogger

Logger = FilteringBoundLogger


def configure() -> None:
    """Send events to standard error, each on a line of its own however hostile its values are."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="%Y-%m-%dT%H:%M:%SZ", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.LogfmtRenderer(key_order=["timestamp", "level", "event"], bool_as_flag=False),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )


def logger() -> Logger:
    """Return a logger: `logger().info("claim", job_id=…)`."""
    return cast("Logger", structlog.get_logger())
