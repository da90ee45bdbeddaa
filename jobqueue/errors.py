"""Every error the server tells its clients, each with a stable code. Which HTTP status it gets: `web/errors.py`."""

from __future__ import annotations

import inspect


class JobQueueError(Exception):
    """Something went wrong.

    The base of them all. The first line of a class's docstring is its message unless the raiser has a better one;
    `facts` are what the client is told beside it, as JSON values by name.
    """

    code = "error"

    def __init__(self, message: str | None = None, /, **facts: object) -> None:
        super().__init__(message or self.default_message())
        self.facts = facts

    @classmethod
    def default_message(cls) -> str:
        """Return the first line of the class's docstring, without its full stop."""
        return (inspect.getdoc(cls) or cls.__name__).splitlines()[0].rstrip(".")


class InvalidRequest(JobQueueError):
    """Invalid request."""

    code = "invalid_request"


class JobNotFound(JobQueueError):
    """Job not found."""

    code = "job_not_found"


class NotPending(JobQueueError):
    """Job is not in pending state.

    Only pending jobs can be cancelled; `status` says what the job is instead.
    """

    code = "not_pending"


class NotHeld(JobQueueError):
    """Job not found or not running.

    The answer to a heartbeat: the job does not run, or runs under another lease. Its executor must stop.
    """

    code = "not_held"


class NotRunning(JobQueueError):
    """Invalid state transition.

    A result came for a job that does not run (any more); `status` says what the job is instead.
    """

    code = "not_running"


class LeaseLost(JobQueueError):
    """Invalid state transition: the job is held by another attempt.

    A result came from an executor that lost the job, or never had it. Nothing of it is stored.
    """

    code = "lease_lost"


class StoreUnavailable(JobQueueError):
    """The database cannot be reached.

    Ask again later. A change that was under way may or may not have been made.
    """

    code = "store_unavailable"


class StoreFull(JobQueueError):
    """The database is full.

    No new job is taken until space is free again; jobs that exist go on.
    """

    code = "store_full"
