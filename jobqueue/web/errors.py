"""Turns every error into the one shape that clients see: `{"error": …, "context": {…}}`, and nothing of our insides."""

from __future__ import annotations

import re
from http import HTTPStatus

from flask import Flask, Response, jsonify, request
from werkzeug.exceptions import HTTPException

from jobqueue import errors, logs

STATUSES: dict[type[errors.JobQueueError], HTTPStatus] = {
    errors.InvalidRequest: HTTPStatus.BAD_REQUEST,
    errors.JobNotFound: HTTPStatus.NOT_FOUND,
    errors.NotPending: HTTPStatus.BAD_REQUEST,
    errors.NotHeld: HTTPStatus.NOT_FOUND,
    errors.NotRunning: HTTPStatus.BAD_REQUEST,
    errors.LeaseLost: HTTPStatus.BAD_REQUEST,
    errors.StoreUnavailable: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.StoreFull: HTTPStatus.SERVICE_UNAVAILABLE,
}
RETRY_AFTER_SECONDS = 2
ODD_ID = re.compile("/api/v1/jobs/[^/]+(/heartbeat|/complete|/fail|/release|/output)?")
"""The path of a job whose id is no UUID, so that no route takes it."""

HTTP_MESSAGES = {
    400: "Malformed request",
    404: "No such path",
    405: "Method not allowed here",
    413: "Request body too large",
    415: "Content-Type must be application/json",
}


def install(app: Flask) -> None:
    """Make the app answer every error in the one shape, crashes included."""
    app.register_error_handler(errors.JobQueueError, answer_own)
    app.register_error_handler(HTTPException, answer_http)
    app.register_error_handler(Exception, answer_crash)


def answer_own(error: errors.JobQueueError) -> Response:
    """Answer an error of our own. Field errors of a body stand alone; others carry their code and the job's id."""
    context = dict(error.facts)
    if not isinstance(error, errors.InvalidRequest):
        context["code"] = error.code
        context |= {name: str(value) for name, value in (request.view_args or {}).items()}
    response = in_one_shape(str(error), STATUSES[type(error)], context)
    if response.status_code == HTTPStatus.SERVICE_UNAVAILABLE:
        response.headers["Retry-After"] = str(RETRY_AFTER_SECONDS)
    return response


def answer_http(error: HTTPException) -> Response:
    """Answer an error of Flask's or werkzeug's, with its headers (`Allow`, …) and without its HTML."""
    status = HTTPStatus(error.code or 500)
    if status == HTTPStatus.NOT_FOUND and ODD_ID.fullmatch(request.path):
        return answer_own(errors.JobNotFound())
    response = in_one_shape(HTTP_MESSAGES.get(status, status.phrase), status, {})
    for name, value in error.get_headers():
        if name.lower() != "content-type":
            response.headers[name] = value
    return response


def answer_crash(error: Exception) -> Response:
    """Answer what should not have happened: the log has all of it, the client a sentence."""
    logs.logger().exception("crash", method=request.method, path=request.path, reason=repr(error))
    return in_one_shape("Internal server error", HTTPStatus.INTERNAL_SERVER_ERROR, {})


def in_one_shape(message: str, status: HTTPStatus, context: dict[str, object]) -> Response:
    """Return an error response."""
    response = jsonify({"error": message, "context": context})
    response.status_code = status
    return response
