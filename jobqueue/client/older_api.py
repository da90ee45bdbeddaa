"""Whether the API is of an older version, which knows only the single requests of the documented contract."""

from __future__ import annotations

import time
from collections.abc import Callable
from http import HTTPStatus

from jobqueue import logs
from jobqueue.client.transport import ApiRefused

REMEMBERED_SECONDS = 60.0
"""How long only single requests are sent, before the API is asked again whether it knows more."""

NEW_FIELDS = frozenset({"claim_id", "max_jobs", "wait_seconds"})
"""The fields of a claim that an older API refuses because it does not know them."""


class OlderApi:
    """What is known about the version of the API. All connections of a worker share it; any thread may use it."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._until = 0.0

    @property
    def assumed(self) -> bool:
        """Whether to send only single requests now."""
        return self._monotonic() < self._until

    def lacks_fields(self, refused: ApiRefused) -> bool:
        """Return whether a claim was refused for its new fields; note it then."""
        unknown = refused.status == HTTPStatus.BAD_REQUEST and not NEW_FIELDS.isdisjoint(refused.context)
        return unknown and self._note(refused)

    def lacks_route(self, refused: ApiRefused) -> bool:
        """Return whether a request was refused because there is no such route; note it then."""
        return refused.status in (HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED) and self._note(refused)

    def _note(self, refused: ApiRefused) -> bool:
        # Behind a balancer some servers may be older and others not, so the log says it once and not once a minute.
        if not self._until:
            logs.logger().info("older_api", reason=str(refused))
        self._until = self._monotonic() + REMEMBERED_SECONDS
        return True
