"""Where Flask-Limiter counts: in the Redis of the queue, by one of its scripts.

The storage that comes with Flask-Limiter would have connections of its own, with other time limits, and other commands
than those of the queue. Here a count is a call like any other: it ends with the time limit of the request, uses the
same connection, login and certificates, and its keys begin like all keys of the queue.
"""

from __future__ import annotations

from typing import Any

from flask.globals import request_ctx
from limits.storage import Storage

from jobqueue.errors import JobQueueError
from jobqueue.queue.commands import Commands, Counted


class QueueStorage(Storage):
    """Counts requests in fixed windows. What a request was counted as is kept with it, for the headers of its answer.

    While Redis does not answer, or takes no writes, nothing is counted and nobody is refused: such requests are
    answered 503 in any case, or only read.
    """

    STORAGE_SCHEME = ["jobqueue"]  # noqa: RUF012  # as the base class declares it

    def __init__(self, uri: str, commands: Commands, **options: Any) -> None:
        super().__init__(uri, **options)
        self._commands = commands

    @property
    def base_exceptions(self) -> type[Exception]:
        """The errors of this storage."""
        return JobQueueError

    def incr(self, key: str, expiry: int, amount: int = 1) -> int:  # noqa: ARG002  # each request is one
        """Count this request; return how many there are in the window, 0 if they cannot be counted."""
        try:
            counted = self._commands.count(key, expiry * 1000)
        except JobQueueError:
            return 0
        vars(request_ctx.request).setdefault("counted", {})[key] = counted
        return counted.count

    @staticmethod
    def counted(key: str) -> Counted | None:
        """Return what this request was counted as; None if it was not."""
        counted: dict[str, Counted] = vars(request_ctx.request).get("counted", {})
        return counted.get(key)

    def check(self) -> bool:
        """Whether Redis can be asked. Flask-Limiter wants to know after an error, and there is none."""
        return True

    def get(self, key: str) -> int:
        """Not needed: nothing reads a window but the headers, which have what `incr` found."""
        raise NotImplementedError

    def get_expiry(self, key: str) -> float:
        """Not needed either."""
        raise NotImplementedError

    def clear(self, key: str) -> None:
        """Not needed: windows end by themselves."""
        raise NotImplementedError

    def reset(self) -> None:
        """Not needed either."""
        raise NotImplementedError
