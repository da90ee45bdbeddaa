"""What a caller needs for a route: a scope, or less. Each route says so where it is declared."""

from __future__ import annotations

from enum import Enum

from jobqueue.access.scopes import Scope


class Special(Enum):
    """What is not a scope.

    NOTHING: the route is open to everybody, always. METRICS: it is open unless METRICS_TOKEN is set; then it needs that
    token, or the scope `admin`. TOKEN: any valid token, for what is no route and for OPTIONS.
    """

    NOTHING = "nothing"
    METRICS = "metrics"
    TOKEN = "token"  # noqa: S105  # a word


Need = Scope | Special

READ, SUBMIT, EXECUTE, ADMIN = Scope
NOTHING, METRICS, TOKEN = Special
