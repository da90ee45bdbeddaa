"""Flask-Limiter adapted to this API: who is counted, which requests are not, and what the answers say."""

from __future__ import annotations

import ipaddress
import math
from typing import Any

from flask import Flask, Response
from flask.globals import request_ctx
from flask_limiter import Limiter, RateLimitExceeded, RequestLimit
from limits import RateLimitItem, parse_many

from jobqueue.errors import RateLimited
from jobqueue.queue.commands import Commands
from jobqueue.web.access.callers import caller
from jobqueue.web.errors import answer_own
from jobqueue.web.rates.storage import QueueStorage

NEVER_COUNTED = frozenset(
    {
        "claims.heartbeat",
        "claims.heartbeat_many",
        "claims.complete",
        "claims.fail",
        "claims.release",
        "claims.finish_many",
        "health.health",
        "health.live",
    }
)
"""The endpoints of probes, and of what an executor says about jobs that it runs. An executor sends as much as its jobs
need. A heartbeat that is refused would cost a job its attempt, and a report would keep its slot waiting.
"""

HALF_OF_IPV6 = 64
LOCAL = "local"


def install(app: Flask, rate_limit: str, commands: Commands) -> None:
    """Count every request of the app, and refuse what is beyond the limit."""
    options: dict[str, Any] = {"commands": commands}
    limiter = Limiter(
        key_of_caller,
        application_limits=[rate_limit],
        request_identifier=lambda: "any",  # unknown paths and wrong methods count as well
        storage_uri="jobqueue://",  # leads to QueueStorage
        storage_options=options,
        strategy="fixed-window",
    )
    limiter.request_filter(_is_never_counted)
    limiter.init_app(app)
    app.register_error_handler(RateLimitExceeded, lambda _: _answer(limiter))
    app.after_request(_Headers(limiter, parse_many(rate_limit)).add)


def key_of_caller() -> str:
    """Return under which name the requests of this caller are counted: that of its token, else its address.

    A customer has as many IPv6 addresses as it likes, 2 to the 64th at least, so they count as one.
    """
    who = caller()
    if who.name:
        return f"token:{who.name}"
    try:
        address = ipaddress.ip_address(who.address or "")
    except ValueError:  # a Unix socket
        return f"address:{LOCAL}"
    if isinstance(address, ipaddress.IPv6Address):
        mapped = address.ipv4_mapped
        address = mapped or ipaddress.IPv6Address(int(address) >> HALF_OF_IPV6 << HALF_OF_IPV6)
    return f"address:{address}"


def _is_never_counted() -> bool:
    return request_ctx.request.endpoint in NEVER_COUNTED


def _answer(limiter: Limiter) -> Response:
    """Answer a request that is beyond a limit."""
    breached = next(each for each in limiter.current_limits if each.breached)
    item, counted = breached.limit, QueueStorage.counted(breached.key)
    return answer_own(
        RateLimited(
            limit=item.amount,
            window_seconds=item.get_expiry(),
            retry_after_seconds=math.ceil(counted.left_ms / 1000) if counted else 1,
        )
    )


class _Headers:
    """The headers of the IETF's draft (draft-ietf-httpapi-ratelimit-headers): the limits, and what is left of them."""

    def __init__(self, limiter: Limiter, limits: list[RateLimitItem]) -> None:
        self._limiter = limiter
        self._names = {
            str(limit): '"default"' if number == 1 else f'"default-{number}"' for number, limit in enumerate(limits, 1)
        }
        self._policy = ", ".join(
            f"{self._names[str(limit)]};q={limit.amount};w={limit.get_expiry()}" for limit in limits
        )

    def add(self, response: Response) -> Response:
        """Add them to the answer to a request that was counted."""
        left = [text for limit in self._limiter.current_limits if (text := self._left(limit))]
        if left:
            response.headers["RateLimit-Policy"] = self._policy
            response.headers["RateLimit"] = ", ".join(left)
        return response

    def _left(self, limit: RequestLimit) -> str:
        counted = QueueStorage.counted(limit.key)
        if counted is None:
            return ""
        remaining = max(limit.limit.amount - counted.count, 0)
        return f"{self._names[str(limit.limit)]};r={remaining};t={math.ceil(counted.left_ms / 1000)}"
