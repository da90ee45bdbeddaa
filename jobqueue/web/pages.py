"""Answers that are one page of a list: they say how many entries there are in all, and link to the next page."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlencode

from flask import Response, jsonify


def headers(total: str) -> dict[str, object]:
    """Return the documentation of the headers of a page. `total` says what is counted."""
    return {
        "X-Total-Count": {"schema": {"type": "integer"}, "description": total},
        "Link": {"schema": {"type": "string"}, "description": 'rel="next": the next page, if there is one.'},
    }


def answer(entries: Sequence[object], total: int, limit: int, offset: int, **filters: str | None) -> Response:
    """Return the page of `entries`, which were listed with these query parameters. A filter that is None is not set."""
    response = jsonify(entries)
    response.headers["X-Total-Count"] = str(total)
    if offset + limit < total:
        sought = {name: value for name, value in filters.items() if value is not None}
        following = urlencode({**sought, "limit": limit, "offset": offset + limit})
        response.headers["Link"] = f'<?{following}>; rel="next"'
    return response
