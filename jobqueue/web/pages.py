"""Answers that are one page of a list: they say how many entries there are in all, and link to the next page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from urllib.parse import urlencode

from flask import Response, jsonify

Following = Mapping[str, int] | None
"""The query parameter that leads to the next page; None if there is no next page."""


def headers(total: str) -> dict[str, object]:
    """Return the documentation of the headers of a page. `total` says what is counted."""
    return {
        "X-Total-Count": {"schema": {"type": "integer"}, "description": total},
        "Link": {"schema": {"type": "string"}, "description": 'rel="next": the next page, if there is one.'},
    }


def answer(entries: Sequence[object], total: int, limit: int, offset: int, **filters: str | None) -> Response:
    """Return the page of `entries`, which were listed with these query parameters. A filter that is None is not set."""
    following = {"offset": offset + limit} if offset + limit < total else None
    return _page(entries, total, filters, limit, following)


def step(entries: Sequence[object], total: int, limit: int, next_cursor: int, **filters: str | None) -> Response:
    """Return the page of `entries` as one of a walk that goes on at `next_cursor`, or ends here if that is 0."""
    return _page(entries, total, filters, limit, {"cursor": next_cursor} if next_cursor else None)


def _page(
    entries: Sequence[object], total: int, filters: Mapping[str, str | None], limit: int, following: Following
) -> Response:
    response = jsonify(entries)
    response.headers["X-Total-Count"] = str(total)
    if following:
        sought = {name: value for name, value in filters.items() if value is not None}
        query = urlencode({**sought, "limit": limit, **following})
        response.headers["Link"] = f'<?{query}>; rel="next"'
    return response
