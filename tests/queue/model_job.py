"""A job and an executor as the model of the queue knows them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from jobqueue.job import Attempt, AttemptStatus, Priority, Reason, Status
from jobqueue.result import Holder, Piece, Result

NOTHING = Piece(0, "")


@dataclass
class ModelJob:
    """A job. `holder` has the token of its attempt as long as a report with that token can match."""

    id: str
    sequence: int
    priority: Priority
    type: str
    status: Status = Status.PENDING
    holder: Holder | None = None
    claimed: tuple[int, int] = (0, 0)
    unreceived_ms: int | None = None
    started_ms: int | None = None
    deadline_ms: int = 0
    ended_ms: int | None = None
    result: Result | None = None
    reason: Reason | None = None
    cancel_requested: bool = False
    attempt_count: int = 0
    lost: int = 0
    host_faults: int = 0
    not_before_ms: int | None = None
    released_by: set[str] = field(default_factory=set)
    others_first_until_ms: int = 0
    archived: list[Attempt] = field(default_factory=list)
    live: Piece = NOTHING

    @property
    def executor_id(self) -> str | None:
        """The executor that runs the job, or ran it last."""
        return self.holder.executor_id if self.holder else None

    def attempts(self) -> list[Attempt]:
        """Return the attempts that the job's details must list."""
        if self.holder is None or not self.holder.attempt_token:
            return self.archived
        return [*self.archived, self.attempt(AttemptStatus(self.status), self.ended_ms, self.reason)]

    def attempt(self, status: AttemptStatus, ended_ms: int | None, reason: Reason | None) -> Attempt:
        """Return the newest attempt."""
        assert self.executor_id is not None
        assert self.started_ms is not None
        message = self.result.error_message or None if self.result else None
        return Attempt(self.executor_id, None, self.started_ms, ended_ms, status, reason, message)

    def outcome(self, reported: Status, reason: Reason | None) -> Status:
        """Return the status that a report gives the job."""
        stopped = reported is Status.FAILED and reason in {None, Reason.CANCELLED}
        return Status.CANCELLED if self.cancel_requested and stopped else reported

    def add_output(self, piece: Piece) -> None:
        """Add a piece of output to the live output. One byte is one character here."""
        end = self.live.offset + len(self.live.data)
        if piece.offset > end:
            self.live = piece
        else:
            self.live = replace(self.live, data=self.live.data + piece.data[end - piece.offset :])


@dataclass
class ModelExecutor:
    """An executor that the queue remembers."""

    seen_ms: int
    completed: int = 0
