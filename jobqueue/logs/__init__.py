"""The log: one event on each line. `logs.logger().info("claim", job_id=…)`.

events: where events go, and what counts as one.
formats: how an event is written on a line.
"""

from jobqueue.logs.events import (
    EventHandler,
    Logger,
    choose,
    configure,
    flush,
    install,
    later,
    logger,
    printed,
    render,
    request_id,
)

__all__ = [
    "EventHandler",
    "Logger",
    "choose",
    "configure",
    "flush",
    "install",
    "later",
    "logger",
    "printed",
    "render",
    "request_id",
]
