"""`errors.py`: every error has its own code, a message and facts."""

from __future__ import annotations

import inspect
import re

import pytest

from jobqueue import errors
from jobqueue.errors import JobNotFound, JobQueueError, NotPending

ERRORS = [error for _, error in inspect.getmembers(errors, inspect.isclass) if issubclass(error, JobQueueError)]

every_error = pytest.mark.parametrize("error", ERRORS)


def test_codes_are_all_different() -> None:
    assert len({error.code for error in ERRORS}) == len(ERRORS)


@every_error
def test_a_code_is_the_class_s_name_in_small_letters(error: type[JobQueueError]) -> None:
    words = re.findall("[A-Z][a-z]*", error.__name__)
    assert error.code == ("error" if error is JobQueueError else "_".join(words).lower())


@every_error
def test_a_default_message_is_one_line_without_a_full_stop(error: type[JobQueueError]) -> None:
    message = str(error())
    assert message == error.default_message()
    assert message
    assert "\n" not in message
    assert not message.endswith(".")


def test_the_messages_of_the_contract_are_unchanged() -> None:
    assert str(errors.NotPending()) == "Job is not in pending state"
    assert str(errors.JobNotFound()) == "Job not found"
    assert str(errors.NotHeld()) == "Job not found or not running"
    assert str(errors.NotRunning()) == "Invalid state transition"
    assert str(errors.LeaseLost()).startswith("Invalid state transition")


def test_a_message_and_facts_are_kept() -> None:
    error = NotPending("It runs already", status="running")
    assert str(error) == "It runs already"
    assert error.facts == {"status": "running"}


def test_a_fact_may_have_any_name() -> None:
    assert JobNotFound(message="a fact").facts == {"message": "a fact"}


def test_there_may_be_no_facts() -> None:
    assert JobNotFound().facts == {}


def test_a_class_without_a_docstring_has_the_message_of_its_base() -> None:
    class Undescribed(JobNotFound):
        pass

    assert str(Undescribed()) == "Job not found"
