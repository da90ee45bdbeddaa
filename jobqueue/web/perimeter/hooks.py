"""What an app does before and after every request, whatever its method and path."""

from __future__ import annotations

from flask import Flask, Response
from flask.globals import request_ctx

from jobqueue.web.perimeter import answer_headers, request_ids
from jobqueue.web.perimeter.proxies import trusting
from jobqueue.web.perimeter.rules import Perimeter


def install(app: Flask, perimeter: Perimeter) -> None:
    """Have an app give every request an id, check it, and protect its answer."""

    def check() -> None:
        perimeter.check(request_ctx.request.environ)

    app.wsgi_app = trusting(app.wsgi_app, perimeter.trusted_proxies)  # type: ignore[method-assign, assignment]  # Flask's way
    app.before_request(begin)
    app.before_request(check)
    app.after_request(protect)
    app.teardown_request(end)


def begin() -> None:
    """Begin a request. Under gunicorn the server has done so already: its own lines and answers have the id, too."""
    if not request_ids.current():
        received = request_ctx.request
        request_ids.begin(received.environ.get("HTTP_X_REQUEST_ID"))
        received.began_here = True  # type: ignore[attr-defined]


def protect(response: Response) -> Response:
    """Give an answer the headers that protect it. A route may have set others."""
    headers = response.headers
    headers.add(request_ids.HEADER, request_ids.current())
    headers.add(answer_headers.SNIFFING, answer_headers.PROTECTING[answer_headers.SNIFFING])
    if answer_headers.CACHING not in headers:
        headers.add(answer_headers.CACHING, answer_headers.PROTECTING[answer_headers.CACHING])
    if headers.get("Content-Type", "").startswith("text/html") and answer_headers.PAGES not in headers:
        headers.add(answer_headers.PAGES, answer_headers.PAGE_POLICY)
    return response


def end(_: BaseException | None) -> None:
    """End a request that has begun here."""
    if vars(request_ctx.request).pop("began_here", False):
        request_ids.end()
