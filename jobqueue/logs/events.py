"""Where events go, and what counts as one: each is a line of its own, named after what was done.

Logging never waits (see `log_stream`). No value can break a line, disguise itself as another or show a URL's secrets.
"""

from __future__ import annotations

import logging
import sys
import threading
import time
import warnings
from collections import deque
from collections.abc import Callable
from contextvars import ContextVar, copy_context
from functools import lru_cache, partial
from types import TracebackType
from typing import Any, ClassVar, TextIO, cast

import structlog
from structlog.typing import EventDict, FilteringBoundLogger

from jobqueue.log_stream import ATOMIC_BYTES, LogStream, never_waiting, replace_stderr
from jobqueue.logs.formats import FORMATS, Format, in_json, is_text, logfmt, shortened
from jobqueue.redaction import is_suspicious, redacted_text

Logger = FilteringBoundLogger

request_id: ContextVar[str] = ContextVar("request_id", default="")
"""The id of the request that this thread or greenlet works on. Every line that it logs meanwhile has it."""

_with_exception = structlog.processors.format_exc_info
SHORTENINGS, MOST_VALUES = 5, 20
ESSENTIAL = 3
"""How many fields say when, how bad and what: timestamp, level and event."""
LEVELS = {"exception": "error", "warn": "warning"}
"""The levels whose method has another name."""


class _Lines:
    """Passes each line on to a function. structlog's own logger would hold a lock meanwhile."""

    def __init__(self, write: Callable[[str], object]) -> None:
        self._write = write

    def msg(self, message: str) -> None:
        """Write a line."""
        self._write(message)

    debug = info = warning = error = critical = exception = msg


class _Configured:
    """The logger of this process, the format of its lines, and the events that wait for `flush`. structlog would make
    another logger for every line, which costs more than the line.
    """

    logger: Logger | None = None
    write: Format = staticmethod(logfmt)
    put_off: ClassVar[deque[Callable[[], object]]] = deque()


def configure(stream: TextIO | None) -> None:
    """Write events to `stream` (None: nowhere), each on a single line whatever its values contain."""
    lines = _Lines(_writer(never_waiting(stream, _dropped)) if stream else lambda _: None)
    structlog.configure(
        processors=[_with_exception, render],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=lambda *_: lines,
    )
    _Configured.logger = structlog.get_logger().bind()


def choose(log_format: str) -> None:
    """Write every line of this process in that format from here on. It is one of FORMATS."""
    _Configured.write = FORMATS[log_format]
    _show_printed()


def install() -> None:
    """Configure the log of this process and send there what would be printed on standard error otherwise: uncaught
    exceptions, warnings, messages of libraries. May be called again.
    """
    replace_stderr(_dropped)  # What is printed by others, such as argparse or gunicorn, must not wait either.
    configure(sys.stderr)
    _show_printed()
    sys.excepthook = _log_uncaught
    threading.excepthook = _log_uncaught_in_thread
    warnings.showwarning = _log_warning  # type: ignore[assignment]  # it ignores what it is not interested in
    logging.lastResort = EventHandler("library")
    logging.lastResort.setLevel(logging.WARNING)


def logger() -> Logger:
    """Return a logger: `logger().info("claim", job_id=…)`."""
    flush()
    return _logger()


def _logger() -> Logger:
    return _Configured.logger or cast("Logger", structlog.get_logger())


def later(event: str, **facts: object) -> None:
    """Log an event of the level info a moment later: when `flush` is called, or before the next one.

    For the steps between the claim of a job and the start of its program: to write a line there delays every start by
    a tenth of a millisecond. Who calls this has to see to it that `flush` is called soon.
    """
    facts["timestamp"] = _timestamp(int(time.time()))
    # In a copy of the context, so that the line has the id of this request.
    _Configured.put_off.append(partial(copy_context().run, _log, event, facts))


def flush() -> None:
    """Log the events that were put off, in their order."""
    while _Configured.put_off:
        try:
            log = _Configured.put_off.popleft()
        except IndexError:  # another thread was faster
            return
        log()


def _log(event: str, facts: dict[str, object]) -> None:
    _logger().info(event, **facts)


def printed(text: str, event: str, level: str) -> str:
    """Return the line for a text that others have formatted: where the log is in JSON, an event with that message, else
    "", for the text is a line already.
    """
    return render(None, level, {"event": event, "message": text}) if _Configured.write is in_json else ""


def render(_logger: object, level: str, event: EventDict) -> str:
    """Return the event as a line without its end, in characters that every terminal shows as they are.

    A line that a pipe would not take whole is shortened: its longest values lose their middle.
    """
    what, timestamp = event.pop("event"), event.pop("timestamp", None) or _timestamp(int(time.time()))
    event = {"timestamp": timestamp, "level": LEVELS.get(level, level), "event": what, **event}
    if current := request_id.get():
        event["request_id"] = current
    write = _Configured.write
    line = write(event)
    if is_suspicious(line):
        event = {name: redacted_text(str(value)) if is_text(value) else value for name, value in event.items()}
        line = write(event)
    for _ in range(min(len(event), MOST_VALUES) + SHORTENINGS):
        excess = len(line) + 1 - ATOMIC_BYTES if line.isascii() else len(line.encode()) + 1 - ATOMIC_BYTES
        if excess <= 0:
            return line
        event = shortened(write, event, excess)
        line = write(event)
    # The stream cuts what is still too long, which half an object would not survive.
    return line if write is logfmt or len(line) < ATOMIC_BYTES else write(dict(list(event.items())[:ESSENTIAL]))


@lru_cache(maxsize=1)
def _timestamp(seconds: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


class EventHandler(logging.Handler):
    """Logs as an event what a library logs, such as gunicorn."""

    def __init__(self, event: str) -> None:
        super().__init__()
        self._event = event
        # The library's own level decides what is logged.
        self._log = structlog.wrap_logger(None, wrapper_class=structlog.make_filtering_bound_logger(logging.DEBUG))

    def emit(self, record: logging.LogRecord) -> None:
        """Log the record."""
        try:
            message = record.getMessage()
        except Exception:  # noqa: BLE001  # whatever a library formats wrongly, its caller must go on
            message = str(record.msg)
        facts: dict[str, Any] = {"message": message, "logger": record.name, "process": record.process}
        if record.exc_info:
            facts["exc_info"] = record.exc_info
        self._log.log(record.levelno, self._event, **facts)


def _writer(stream: TextIO) -> Callable[[str], object]:
    """Return what writes a line of ours to the stream."""
    if isinstance(stream, LogStream):
        return lambda line: stream.write(f"{line}\n", is_event=True)
    return lambda line: stream.write(f"{line}\n")


def _show_printed() -> None:
    """Have what others print on standard error written as it is or, in JSON, as an event."""
    if isinstance(sys.stderr, LogStream):
        sys.stderr.shown = _printed if _Configured.write is in_json else str


def _printed(line: str) -> str | None:
    return printed(line, "printed", "warning") if line.strip() else None


def _dropped(count: int) -> str:
    return render(None, "warning", {"event": "log_lines_dropped", "count": count})


def _log_uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        return
    logger().error("crash", reason=repr(error), exc_info=(kind, error, trace))


def _log_uncaught_in_thread(facts: threading.ExceptHookArgs) -> None:
    if facts.exc_value is None or isinstance(facts.exc_value, SystemExit):
        return
    thread = facts.thread.name if facts.thread else ""
    error = (facts.exc_type, facts.exc_value, facts.exc_traceback)
    logger().error("crash", reason=repr(facts.exc_value), thread=thread, exc_info=error)


def _log_warning(message: Warning | str, category: type[Warning], filename: str, lineno: int, *_: object) -> None:
    logger().warning("python_warning", message=str(message), kind=category.__name__, place=f"{filename}:{lineno}")
