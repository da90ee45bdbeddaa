"""Whose attempt a request is about: the caller's, whatever its body says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from jobqueue.errors import InvalidRequest
from jobqueue.queue.claims import ClaimRequest
from jobqueue.queue.records.reports import Report
from jobqueue.result import Holder
from jobqueue.web.access.callers import entry_of_request
from jobqueue.web.services import services

REQUIRED = (
    "Missing data for required field: this server needs it with every request about a job (REQUIRE_ATTEMPT_TOKEN)."
)


def owner() -> str:
    """Return the name of the API token to which the attempts of this request belong, "" on an open API."""
    return entry_of_request().name


def own_claim(claim: ClaimRequest) -> ClaimRequest:
    """Return a claim whose jobs will belong to the caller."""
    name = owner()
    return replace(claim, owner=name) if name else claim


def own(holder: Holder) -> Holder:
    """Return a holder that may only act for an attempt of the caller. Raises InvalidRequest if it has no token of an
    attempt although this server needs one.
    """
    if not holder.attempt_token and services().access.requires_attempt_token:
        raise InvalidRequest("Invalid request: see attempt_token", attempt_token=[REQUIRED])
    name = owner()
    return replace(holder, owner=name) if name else holder


def own_reports(reports: Sequence[Report]) -> Sequence[Report]:
    """Return reports that may only be about attempts of the caller."""
    return [Report(each.verb, each.job_id, own(each.holder), each.result) for each in reports]
