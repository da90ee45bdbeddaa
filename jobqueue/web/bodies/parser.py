"""Makes a request's body into what a view works with, or into one error that names every invalid field."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from typing import Any, NoReturn, TypeVar

import marshmallow
from flask import Request, request
from webargs.flaskparser import FlaskParser

from jobqueue.errors import InvalidRequest
from jobqueue.web.access import guard
from jobqueue.web.bodies import reader, strict_json
from jobqueue.web.bodies.limits import Limit
from jobqueue.web.bodies.threads import run_apart
from jobqueue.web.requests import callers

APART_BYTES = 32 * 1024
"""From how many bytes on a body is read and validated outside of gevent's event loop, one at a time. Handing it over
costs 0.1 ms; a bulk of this size with very short arguments takes 50 ms.
"""

MAX_FIELDS_SHOWN = 1000
"""How many invalid fields of a body an answer names."""

MAX_ENTRIES_SHOWN = 20
"""How many invalid entries an answer names inside one field, and how many fields its message names."""

MAX_NAME_SHOWN = 200
"""How many characters of a field's name an answer shows."""


T = TypeVar("T")


class BodyParser(FlaskParser):
    """webargs' parser, except that bodies are read by `reader` and `strict_json`, every invalid request is answered
    400, and query parameters that are unknown or come twice are refused.
    """

    DEFAULT_VALIDATION_STATUS = 400
    DEFAULT_UNKNOWN_BY_LOCATION = FlaskParser.DEFAULT_UNKNOWN_BY_LOCATION | {"query": marshmallow.RAISE}

    def __init__(self, limit: Limit) -> None:
        super().__init__()
        self._limit = limit

    def parse(self, argmap: Any, req: Request | None = None, *, location: str | None = None, **more: Any) -> Any:
        """Return what the schema `argmap` makes of a query string or a body.

        A body is not left to webargs: reading and validating it is one step, which for a large body runs elsewhere.
        Raises UnsupportedMediaType, RequestEntityTooLarge, BadRequest, ServerBusy, InvalidRequest.
        """
        if location != "json":
            return super().parse(argmap, req, location=location, **more)
        received = req or self.get_default_request()
        body = reader.read(received, self._limit)
        guard.check_again()  # a body may take hours to arrive, and a token may be removed because it was stolen
        schema: marshmallow.Schema = argmap
        try:
            is_long = len(body) >= APART_BYTES
            return calculate(is_long, lambda: schema.load(strict_json.loads(body, self._limit.entries)))
        except marshmallow.ValidationError as error:
            refuse(error.normalized_messages())

    def load_querystring(self, req: Request, schema: marshmallow.Schema) -> Any:
        """Return the query parameters. Raises InvalidRequest if one comes twice: none takes several values."""
        if repeated := {name: ["Given more than once."] for name, values in req.args.lists() if len(values) > 1}:
            refuse(repeated)
        return super().load_querystring(req, schema)

    def handle_error(self, error: marshmallow.ValidationError, *_: object, **__: object) -> NoReturn:
        """Raise InvalidRequest with the messages for every invalid parameter by name."""
        (messages,) = error.normalized_messages().values()
        refuse(messages)


def calculate(is_long: bool, function: Callable[[], T]) -> T:
    """Return what `function` returns. If that takes long, it runs outside of the event loop, one at a time.

    `function` must not use the request nor anything else that belongs to the greenlet.
    """
    if not is_long:
        return function()
    with callers.waiting(request.environ), reader.large_bodies().calculating:
        return run_apart(function)


def refuse(messages: Any) -> NoReturn:
    """Raise InvalidRequest with the messages for every invalid field by name (in a list: by index, then name)."""
    invalid = _by_name(messages, MAX_FIELDS_SHOWN)
    raise InvalidRequest(f"Invalid request: see {', '.join(sorted(invalid)[:MAX_ENTRIES_SHOWN])}", **invalid) from None


def _by_name(messages: Any, most: int) -> dict[str, Any]:
    """Return messages with a text for every key: JSON has no other keys, and mixed ones cannot be sorted.

    Their number and the length of each name are limited, or a large body would get a still larger answer.
    """
    if not isinstance(messages, dict):
        return {"body": messages}
    return {_shown_name(name): _shown(inner) for name, inner in islice(messages.items(), most)}


def _shown_name(name: object) -> str:
    return "body" if name == "_schema" else str(name)[:MAX_NAME_SHOWN]


def _shown(messages: Any) -> Any:
    return _by_name(messages, MAX_ENTRIES_SHOWN) if isinstance(messages, dict) else messages
