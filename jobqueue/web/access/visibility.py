"""What a caller sees of a job: whoever only reads sees no value that may be a secret."""

from __future__ import annotations

from dataclasses import replace

from jobqueue.access.scopes import Scope
from jobqueue.job import Attempt, Job
from jobqueue.redaction import redacted, redacted_text
from jobqueue.web.access.callers import entry_of_request

HIDDEN = "***"


def visible(job: Job) -> Job:
    """Return a job as the caller of this request may see it.

    Submitters need what they have submitted, and executors get it with their claims. The others see the names of the
    variables without their values, and the URL without user, password and query. An executor may have quoted the URL
    in a message.
    """
    return job if Scope.SUBMIT in entry_of_request().scopes else without_secrets(job)


def without_secrets(job: Job) -> Job:
    """Return a job without the values that may be secrets."""
    spec = job.spec
    spec = replace(spec, binary_url=redacted(spec.binary_url), env_variables=dict.fromkeys(spec.env_variables, HIDDEN))
    attempts = [replace(attempt, error_message=_message(attempt)) for attempt in job.attempts]
    return replace(job, spec=spec, error_message=_message(job), attempts=attempts)


def _message(part: Job | Attempt) -> str | None:
    return None if part.error_message is None else redacted_text(part.error_message)
