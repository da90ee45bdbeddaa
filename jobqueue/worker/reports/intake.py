"""Where the jobs go that are claimed along with reports."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from jobqueue.client.batches import ClaimRequest
from jobqueue.client.claimed_job import ClaimedJob


class Intake(Protocol):
    """Where the jobs go that are claimed along with reports. A report that is sent leaves a place for another job."""

    @property
    def is_supplied(self) -> bool:
        """Whether enough jobs wait that no slot is likely to need the answer to the next claim."""

    def free(self, count: int) -> None:
        """Note that so many reports are on their way."""

    def ask(self, count: int) -> ClaimRequest | None:
        """Do the same; return the claim to send along, None for none."""

    def take(self, request: ClaimRequest, jobs: Sequence[ClaimedJob]) -> None:
        """Take the jobs in the answer to a claim."""

    def refused(self, request: ClaimRequest) -> None:
        """Note that a claim was not even considered."""

    def repeat(self, request: ClaimRequest) -> None:
        """Send a claim that was not answered until it is."""


class NoIntake:
    """For a delivery that claims nothing."""

    is_supplied = False

    def free(self, count: int) -> None:
        """Note nothing."""

    def ask(self, count: int) -> ClaimRequest | None:  # noqa: ARG002  # as the protocol has it
        """Claim nothing."""
        return None

    def take(self, request: ClaimRequest, jobs: Sequence[ClaimedJob]) -> None:
        """Take nothing."""

    def refused(self, request: ClaimRequest) -> None:
        """Note nothing."""

    def repeat(self, request: ClaimRequest) -> None:
        """Send nothing."""
