"""The headers that every answer has, so that no browser, proxy or page does with it what it should not."""

from __future__ import annotations

from jobqueue.web.perimeter import request_ids

SNIFFING, CACHING, PAGES = "X-Content-Type-Options", "Cache-Control", "Content-Security-Policy"
PROTECTING = {
    SNIFFING: "nosniff",  # the type is what it says: output of a job that looks like a page is none
    CACHING: "no-store",  # answers hold environments and outputs, and are out of date at once
}
PAGE_POLICY = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
"""What a page in HTML may do unless its route says otherwise: nothing. Answers without a body count as pages."""

DOCUMENTED = {
    "schema": {"type": "string", "pattern": request_ids.PATTERN},
    "description": "The id of the request: the one that the client sent in this header, or a new one.",
}


def of_any_answer() -> dict[str, str]:
    """Return the headers for an answer to the request of this greenlet."""
    return {**PROTECTING, request_ids.HEADER: request_ids.current() or request_ids.new()}
