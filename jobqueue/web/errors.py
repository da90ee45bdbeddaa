"""Turns every error into the one shape that clients see, `{"error": …, "context": {…}}`, without internal details."""

from __future__ import annotations

from http import HTTPStatus

from flask import Flask, Response, current_app, jsonify, request
from werkzeug.exceptions import HTTPException

from jobqueue import errors, logs
from jobqueue.web.requests import job_ids
from jobqueue.web.services import services

STATUSES: dict[type[errors.JobQueueError], HTTPStatus] = {
    errors.InvalidRequest: HTTPStatus.BAD_REQUEST,
    errors.Unauthenticated: HTTPStatus.UNAUTHORIZED,
    errors.Forbidden: HTTPStatus.FORBIDDEN,
    errors.InvalidIdempotencyKey: HTTPStatus.BAD_REQUEST,
    errors.IdempotencyKeyReused: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.JobNotFound: HTTPStatus.NOT_FOUND,
    errors.NotPending: HTTPStatus.BAD_REQUEST,
    errors.NotHeld: HTTPStatus.NOT_FOUND,
    errors.NotRunning: HTTPStatus.BAD_REQUEST,
    errors.LeaseLost: HTTPStatus.BAD_REQUEST,
    errors.StoreUnavailable: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.StoreFull: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.ServerBusy: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.CrossOrigin: HTTPStatus.FORBIDDEN,
    errors.UnknownHost: HTTPStatus.BAD_REQUEST,
    errors.QueueFull: HTTPStatus.TOO_MANY_REQUESTS,
    errors.TooManyTypes: HTTPStatus.TOO_MANY_REQUESTS,
    errors.TooManyExecutors: HTTPStatus.TOO_MANY_REQUESTS,
    errors.RateLimited: HTTPStatus.TOO_MANY_REQUESTS,
}
RETRY_AFTER_SECONDS: dict[type[errors.JobQueueError], int] = {
    errors.StoreUnavailable: 1,
    errors.StoreFull: 1,
    errors.ServerBusy: 1,
    errors.QueueFull: 5,
    errors.TooManyTypes: 60,
    errors.TooManyExecutors: 10,
}
"""When to ask again. Redis may be back, and a queue may have room, at any moment; executors and types take longer."""

HTTP_MESSAGES = {
    400: "Malformed request",
    404: "No such path",
    405: "Method not allowed here",
}
DESCRIBED = (HTTPStatus.REQUEST_ENTITY_TOO_LARGE, HTTPStatus.UNSUPPORTED_MEDIA_TYPE)
"""Statuses whose message is the description of the exception: `bodies.reader` says there what is allowed."""


def install(app: Flask) -> None:
    """Make the app answer every error in the one shape, unexpected exceptions included."""
    app.register_error_handler(errors.JobQueueError, answer_own)
    app.register_error_handler(HTTPException, answer_http)
    app.register_error_handler(Exception, answer_crash)


def answer_own(error: errors.JobQueueError) -> Response:
    """Answer an error of the job queue.

    The context of an invalid request holds its invalid fields and nothing else, since a field may have any name. Every
    other context holds the error's facts, its code and, when the path names a job, the job's id.
    """
    context = dict(error.facts)
    if not isinstance(error, errors.InvalidRequest):
        context |= {"code": error.code, **(request.view_args or {})}
    response = in_one_shape(str(error), STATUSES[type(error)], context)
    response.headers.update(retry_after(error))
    if response.status_code == HTTPStatus.UNAUTHORIZED:
        services().refusals.note(request.remote_addr)
        response.headers["WWW-Authenticate"] = "Bearer"
    return response


def retry_after(error: errors.JobQueueError) -> dict[str, str]:
    """Return the header that says when to send a request again; none if that does not help."""
    seconds = error.facts.get("retry_after_seconds", RETRY_AFTER_SECONDS.get(type(error)))
    return {} if seconds is None else {"Retry-After": str(seconds)}


def answer_http(error: HTTPException) -> Response:
    """Answer an error raised by Flask or werkzeug, with its headers (such as `Allow`) and without its HTML."""
    status = HTTPStatus(error.code or 500)
    if status == HTTPStatus.NOT_FOUND and job_ids.is_malformed(current_app.url_map, request.path):
        return answer_own(errors.JobNotFound())
    message = error.description if status in DESCRIBED else HTTP_MESSAGES.get(status)
    response = in_one_shape(message or status.phrase, status, {})
    for name, value in error.get_headers():
        if name.lower() != "content-type":
            response.headers[name] = value
    return response


def answer_crash(error: Exception) -> Response:
    """Answer an unexpected exception: the log gets all of it, the client gets one sentence."""
    logs.logger().exception("crash", method=request.method, path=request.path, reason=repr(error))
    return in_one_shape("Internal server error", HTTPStatus.INTERNAL_SERVER_ERROR, {})


def in_one_shape(message: str, status: HTTPStatus, context: dict[str, object]) -> Response:
    """Return an error response."""
    response = jsonify({"error": message, "context": context})
    response.status_code = status
    return response
