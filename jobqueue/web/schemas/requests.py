"""What some requests ask for, as the views take it. Requests without a noun here load into nouns of the queue."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from jobqueue.job import Stream
from jobqueue.queue.queries import Filter


@dataclass(frozen=True)
class ListRequest:
    """A page of jobs: at most `limit` of those that pass the filter, after the newest `offset`."""

    filter: Filter
    limit: int
    offset: int

    def following(self) -> dict[str, Any]:
        """Return the query parameters of the page after this one; None where a filter is not set."""
        names = {"status": self.filter.status, "type": self.filter.type, "priority": self.filter.priority}
        return {**names, "limit": self.limit, "offset": self.offset + self.limit}


@dataclass(frozen=True)
class OutputRequest:
    """What a program wrote to one stream, from a byte offset on."""

    stream: Stream
    offset: int


@dataclass(frozen=True)
class ClaimRequest:
    """An executor that asks for a job. Without an address, the caller's is used."""

    executor_id: str
    executor_ip: str | None
