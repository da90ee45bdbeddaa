"""Shortcuts for jobs and results that are certainly valid: plain checks, a tenth of the time of the schemas'.

The schema is the rule book. What a shortcut makes nothing of, valid or not, is left to the schema, which has the words
for every fault. So a shortcut may be as narrow as it likes, but never wider than the schema: a test compares the two.
"""

from __future__ import annotations

from typing import Any

from jobqueue.job import Measured, NewJob, Priority, Reason, Spec
from jobqueue.queue.records.reports import Report, Verb
from jobqueue.result import Holder, Result
from jobqueue.settings import LONGEST_SECONDS
from jobqueue.web.requests.job_ids import normalized
from jobqueue.web.schemas import measured
from jobqueue.web.schemas.fields import (
    MAX_ARGUMENT_BYTES,
    MAX_ENTRIES,
    MAX_EXIT_CODE,
    MAX_ID_CHARACTERS,
    MAX_TOKEN_CHARACTERS,
    MAX_URL_CHARACTERS,
    OVERHEAD_BYTES,
    PLAIN_URL,
    SHA256,
    exactly,
)
from jobqueue.web.schemas.text import MAX_WORD_CHARACTERS, VISIBLE_TEXT, has_hidden_beyond

NAMES = frozenset(["type", "binary_url", "binary_sha256", "priority", "arguments", "env_variables", "timeout_seconds"])
PRIORITIES = {str(priority): priority for priority in Priority}
FORBIDDEN = "\x00"

TEXTS = ("stdout", "stderr", "error_message")
REASONS = {str(reason): reason for reason in Reason}
VERBS = {str(verb): verb for verb in (Verb.COMPLETE, Verb.FAIL)}
MEASURED = measured.checks()
OF_A_FAILURE = frozenset(["id", "attempt_token", "outcome", "reason", "exit_code", *TEXTS, *MEASURED])
OF_A_SUCCESS = OF_A_FAILURE - {"error_message"}


def new_job(data: Any) -> NewJob | None:
    """Return the job of an object from a JSON text, or None if only the schema can say whether it is valid."""
    # Values from JSON have exactly these types. `is` also keeps true and false apart from numbers.
    if type(data) is not dict or not data.keys() <= NAMES:
        return None
    job_type, url, sha256 = data.get("type"), data.get("binary_url"), data.get("binary_sha256")
    priority, timeout = data.get("priority"), data.get("timeout_seconds")
    if not (type(job_type) is type(url) is type(sha256) is type(priority) is str):
        return None
    arguments, variables = data.get("arguments"), data.get("env_variables")
    arguments = [] if arguments is None else arguments
    variables = {} if variables is None else variables
    if (
        priority in PRIORITIES
        and _is_word(job_type)
        and _is_plain_url(url)
        and SHA256.matches(sha256)
        and _may_be_passed(arguments, variables)
        and (timeout is None or _is_time_limit(timeout))
    ):
        spec = Spec(url, sha256.lower(), arguments, variables, None if timeout is None else exactly(timeout))
        return NewJob(job_type, PRIORITIES[priority], spec)
    return None


def report(data: Any) -> Report | None:
    """Return the report of a completed or failed attempt, one of many in a JSON text, without its executor; None if
    only the schema can say whether it is valid.
    """
    if type(data) is not dict:
        return None
    outcome, job_id, token = data.get("outcome"), data.get("id"), data.get("attempt_token")
    if not (type(outcome) is type(job_id) is type(token) is str and outcome in VERBS):
        return None
    verb, exit_code, reason = VERBS[outcome], data.get("exit_code"), data.get("reason")
    stdout, stderr, message = ["" if data.get(name) is None else data[name] for name in TEXTS]
    run = {name: value for name in MEASURED if (value := data.get(name)) is not None}
    if (
        data.keys() <= (OF_A_FAILURE if verb is Verb.FAIL else OF_A_SUCCESS)
        and len(job_id) <= MAX_ID_CHARACTERS
        and 1 <= len(token) <= MAX_TOKEN_CHARACTERS
        and (_is_exit_code(exit_code) or (exit_code is None and verb is Verb.FAIL))
        and (reason is None or (type(reason) is str and reason in REASONS))
        and type(stdout) is type(stderr) is type(message) is str
        and all(MEASURED[name](value) for name, value in run.items())
    ):
        run |= {name: exactly(value) for name, value in run.items() if name.endswith("_seconds")}
        reason = None if reason is None else REASONS[reason]
        result = Result(exit_code, stdout, stderr, message, reason, Measured(**run)).cut()
        return Report(verb, normalized(job_id), Holder("", token), result)
    return None


def _is_word(text: str) -> bool:
    return len(text) <= MAX_WORD_CHARACTERS and VISIBLE_TEXT.matches(text) and not has_hidden_beyond(text)


def _is_plain_url(text: str) -> bool:
    is_plain = len(text) <= MAX_URL_CHARACTERS and PLAIN_URL.fullmatch(text) is not None
    return is_plain and not has_hidden_beyond(text)


def _is_exit_code(value: Any) -> bool:
    return type(value) is int and -MAX_EXIT_CODE - 1 <= value <= MAX_EXIT_CODE


def _is_time_limit(value: Any) -> bool:
    return type(value) in (int, float) and 0 < value <= LONGEST_SECONDS


def _may_be_passed(arguments: Any, variables: Any) -> bool:
    """Whether Linux can certainly pass these to a program: all of them together are as short as one of them may be."""
    if type(arguments) is not list or type(variables) is not dict:
        return False
    if max(len(arguments), len(variables)) > MAX_ENTRIES:
        return False
    texts = [*arguments, *variables, *variables.values()]
    try:
        joined = "".join(texts)
    except TypeError:  # one of them is not a text
        return False
    size = len(joined) if joined.isascii() else len(joined.encode())
    if FORBIDDEN in joined or size + len(texts) * (OVERHEAD_BYTES + 1) > MAX_ARGUMENT_BYTES:
        return False
    return "" not in variables and not any("=" in name for name in variables)
