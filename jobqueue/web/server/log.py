"""gunicorn's log as events of ours: one line each, written without waiting."""

from __future__ import annotations

import logging
import sys
from typing import Any

from gunicorn.glogging import Logger

from jobqueue import logs
from jobqueue.log_stream import never_waiting
from jobqueue.redaction import escaped


class ServerLog(Logger):
    """What gunicorn's setting `logger_class` names. Its settings `errorlog` and `accesslog` are heard as before."""

    def setup(self, cfg: Any) -> None:
        """Direct the log of errors to ours, and that of requests, if there is one, to a stream that never waits."""
        logs.install()
        super().setup(cfg)
        if cfg.errorlog == "-":
            self._direct(self.error_log, logs.EventHandler("gunicorn"))
        if cfg.accesslog == "-":
            self._direct(self.access_log, logging.StreamHandler(never_waiting(sys.stdout)))
        for handler in [*self.error_log.handlers, *self.access_log.handlers]:
            handler.setFormatter(
                OneLine(handler.formatter, "access" if handler in self.access_log.handlers else "gunicorn")
            )

    def _direct(self, log: logging.Logger, handler: Any) -> None:
        ours = self._get_gunicorn_handler(log)
        handler.setFormatter(ours.formatter)
        handler._gunicorn = True  # the mark by which it is replaced when the settings are read again
        log.removeHandler(ours)
        log.addHandler(handler)


class OneLine(logging.Formatter):
    """Formats as another formatter does, on one line; where the log is in JSON, as the message of an event."""

    def __init__(self, formatter: logging.Formatter | None, event: str) -> None:
        super().__init__()
        self._formatter = formatter or logging.Formatter()
        self._event = event

    def format(self, record: logging.LogRecord) -> str:
        """Return the record on one line."""
        text = self._formatter.format(record)
        return logs.printed(text, self._event, record.levelname.lower()) or escaped(text)
