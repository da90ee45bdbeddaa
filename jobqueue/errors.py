"""The errors that the server reports to its clients, each with a stable code. `web/errors.py` maps each to a status."""

from __future__ import annotations

import inspect
from collections.abc import Mapping


class JobQueueError(Exception):
    """Something went wrong.

    The base class of all errors. The first line of a class's docstring is the default message. `facts` are reported to
    the client beside the message, as JSON values by name.
    """

    code = "error"

    def __init__(self, message: str | None = None, /, **facts: object) -> None:
        super().__init__(message or (self.message_about(facts) if facts else self.default_message()))
        self.facts = facts

    @classmethod
    def default_message(cls) -> str:
        """Return the first line of the class's docstring, without its full stop."""
        return (inspect.getdoc(cls) or cls.__name__).splitlines()[0].rstrip(".")

    @classmethod
    def message_about(cls, facts: Mapping[str, object]) -> str:  # noqa: ARG003  # most messages need no facts
        """Return the message for these facts, where none was given."""
        return cls.default_message()


class InvalidRequest(JobQueueError):
    """Invalid request."""

    code = "invalid_request"


class Unauthenticated(JobQueueError):
    """A token is needed, as `Bearer <token>` in the header Authorization.

    The request has no token, or none that is valid.
    """

    code = "unauthenticated"


class Forbidden(JobQueueError):
    """The API token does not allow this.

    The fact `scope` is the scope that it would need.
    """

    code = "forbidden"


class InvalidIdempotencyKey(JobQueueError):
    """Idempotency-Key must be 1 to 255 visible ASCII characters, bare or as a quoted string.

    Nothing was changed.
    """

    code = "invalid_idempotency_key"


class IdempotencyKeyReused(JobQueueError):
    """Idempotency-Key was used for another request.

    It came with another body before. Nothing was changed.
    """

    code = "idempotency_key_reused"


class JobNotFound(JobQueueError):
    """Job not found."""

    code = "job_not_found"


class NotPending(JobQueueError):
    """Job is not in pending state.

    Only pending jobs can be cancelled. The fact `status` is the job's actual status.
    """

    code = "not_pending"


class NotHeld(JobQueueError):
    """Job not found or not running.

    The answer to a heartbeat for a job that does not run, or runs as another attempt. Its executor must stop the job.
    """

    code = "not_held"


class NotRunning(JobQueueError):
    """Invalid state transition.

    A report arrived for a job that does not run. The fact `status` is the job's actual status.
    """

    code = "not_running"


class LeaseLost(JobQueueError):
    """Invalid state transition: the job is held by another attempt.

    A report arrived from an executor that has lost the job or never held it. Nothing of the report is stored.
    """

    code = "lease_lost"


class StoreUnavailable(JobQueueError):
    """The database cannot be reached.

    The client should try again later. A change that was under way may or may not have been made.
    """

    code = "store_unavailable"


class StoreFull(JobQueueError):
    """The database is full.

    New jobs are refused until there is space again. Jobs that exist continue.
    """

    code = "store_full"


class QueueFull(JobQueueError):
    """The queue is full.

    New jobs are refused that would pass a limit of pending jobs. Jobs that exist continue. Nothing was stored. The
    facts: `limit`, `pending` (how many jobs are), and `type` if the limit is that of one type.
    """

    code = "queue_full"

    @classmethod
    def message_about(cls, facts: Mapping[str, object]) -> str:
        """Return a sentence with the numbers and the setting."""
        of_type, setting = "", "MAX_PENDING_JOBS"
        if "type" in facts:
            of_type, setting = f" of the type {facts['type']}", "MAX_PENDING_JOBS_PER_TYPE"
        return "The queue is full: {pending} jobs{} are pending, and at most {limit} may be ({})".format(
            of_type, setting, **facts
        )


class TooManyTypes(JobQueueError):
    """There are too many types of jobs.

    A job of a new type is refused while there are jobs of as many types as there may be. Nothing was stored. The facts:
    `limit`, and `type`, the new one.
    """

    code = "too_many_types"

    @classmethod
    def message_about(cls, facts: Mapping[str, object]) -> str:
        """Return a sentence with the number and the setting."""
        return "The type {type} is new, and there may be jobs of {limit} types only (MAX_TYPES)".format_map(facts)


class TooManyExecutors(JobQueueError):
    """There are too many executors.

    A new one is refused while as many are active as may be. The others go on. The fact `limit` is their number.
    """

    code = "too_many_executors"

    @classmethod
    def message_about(cls, facts: Mapping[str, object]) -> str:
        """Return a sentence with the number and the setting."""
        return "This executor is new, and only {limit} may be active (MAX_EXECUTORS)".format_map(facts)


class RateLimited(JobQueueError):
    """Too many requests.

    The caller has sent as many as it may (RATE_LIMIT). Nothing was changed. The facts: `limit` requests in
    `window_seconds`, and `retry_after_seconds`, when the next one may come.
    """

    code = "rate_limited"

    @classmethod
    def message_about(cls, facts: Mapping[str, object]) -> str:
        """Return a sentence with the limit and the setting."""
        return "Too many requests: at most {limit} in {window_seconds} s (RATE_LIMIT)".format_map(facts)


class ServerBusy(JobQueueError):
    """Too many large requests at once.

    A request with a large body found no place in time, or lost it because it was sent too slowly. Nothing was changed.
    """

    code = "server_busy"


class CrossOrigin(JobQueueError):
    """A browser made this request for a page of another site, as Sec-Fetch-Site or Origin says.

    Nothing was changed.
    """

    code = "cross_origin"


class UnknownHost(JobQueueError):
    """Host is not a known name of this server: add it to ALLOWED_HOSTS there, or configure API_TOKENS.

    While the API is open, no page of another site may reach it under a name of its own. The fact `host` is that name.
    """

    code = "unknown_host"
