"""What the OpenAPI document says about tokens: the scheme, and what each operation needs."""

from __future__ import annotations

from typing import Any

from jobqueue.access.scopes import Scope
from jobqueue.web.access.needs import NOTHING, Need

SCHEME = "token"
SCHEMES = {
    SCHEME: {
        "type": "http",
        "scheme": "bearer",
        "description": "An API token, on servers that have some. Each operation names the scope that it needs; "
        "`submit` includes `read`, `admin` includes all.",
    }
}
CHALLENGE = {"WWW-Authenticate": {"schema": {"type": "string", "enum": ["Bearer"]}}}
REFUSALS = {
    401: "No token was sent, or none that is valid. Only servers with tokens answer so.",
    403: "The token does not have the scope. Only servers with tokens answer so.",
}


def security(need: Need, is_open: bool) -> list[dict[str, list[str]]]:
    """Return what an operation needs. On an open server a token is optional, as it is for metrics on some others."""
    if need is NOTHING:
        return []
    if isinstance(need, Scope):
        required: list[dict[str, list[str]]] = [{SCHEME: [str(need)]}]
        return [*required, {}] if is_open else required
    return [{SCHEME: []}, {}]


def refusals(need: Need) -> dict[int, dict[str, Any]]:
    """Return the statuses with which an operation refuses callers, and what is said about each."""
    if need is NOTHING:
        return {}
    return {
        status: {"description": text, "headers": CHALLENGE if status == 401 else None}  # noqa: PLR2004  # as above
        for status, text in REFUSALS.items()
    }
