"""What a caller sees of a job: whoever only reads sees no value that may be a secret."""

from __future__ import annotations

from dataclasses import replace
from urllib.parse import unquote, urlsplit

from jobqueue.access.scopes import Scope
from jobqueue.job import Attempt, Job
from jobqueue.redaction import redacted
from jobqueue.web.access.callers import entry_of_request

HIDDEN = "***"

SHORTEST_SECRET = 4
"""Characters of a password or a query that is hidden wherever a message has it. Shorter ones are parts of words."""


def visible(job: Job) -> Job:
    """Return a job as the caller of this request may see it.

    Submitters need what they have submitted, and executors get it with their claims. The others see the names of the
    variables without their values, and the URL without user, password and query. An executor may have quoted the URL
    in a message.
    """
    return job if Scope.SUBMIT in entry_of_request().scopes else without_secrets(job)


def without_secrets(job: Job) -> Job:
    """Return a job without the values that may be secrets."""
    spec, url = job.spec, job.spec.binary_url
    variables = dict.fromkeys(spec.env_variables, HIDDEN)
    spec = replace(spec, binary_url=redacted(url), env_variables=variables, signature=None)
    attempts = [replace(attempt, error_message=_message(attempt, url)) for attempt in job.attempts]
    return replace(job, spec=spec, error_message=_message(job, url), attempts=attempts)


def _message(part: Job | Attempt, url: str) -> str | None:
    """Return the message of a job or an attempt without the secrets of the job's URL.

    Only this URL is looked for. Expressions that find any URL take minutes for some messages of a mebibyte.
    """
    message = part.error_message
    if message is None or "://" not in url:
        return message
    address = urlsplit(url)
    user, _, _ = address.netloc.rpartition("@")
    for secret, shown in ((url, redacted(url)), (f"{user}@", f"{HIDDEN}@"), (f"?{address.query}", f"?{HIDDEN}")):
        if len(secret) > 1:
            message = message.replace(secret, shown)
    _, _, password = user.partition(":")
    for secret in (password, unquote(password), address.query):
        if len(secret) >= SHORTEST_SECRET:
            message = message.replace(secret, HIDDEN)
    return message
