"""Reads request bodies: strict JSON, and one error that names every invalid field."""

from __future__ import annotations

import json
import re
from itertools import islice
from typing import Any, NoReturn

import marshmallow
from flask import Request
from gunicorn.http.errors import ParseException
from webargs.flaskparser import FlaskParser
from werkzeug.exceptions import BadRequest, RequestEntityTooLarge, UnsupportedMediaType

from jobqueue.errors import InvalidRequest

MAX_BODY_BYTES = 13 * 1024 * 1024
"""Two outputs of 1 MiB, each byte of them written as six (`\\u0000`), and some space for the other fields."""

MAX_FIELDS_SHOWN = 1000
"""How many invalid fields of a body an answer names."""

MAX_ENTRIES_SHOWN = 20
"""How many invalid entries an answer names inside one field, and how many fields its message names."""

MAX_NAME_SHOWN = 200
"""How many characters of a field's name an answer shows."""

SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")


def loads(raw: bytes) -> Any:
    """Return the value of a JSON text in UTF-8.

    Raises InvalidRequest for values that JSON does not have (NaN), for a name that comes twice in one object, which two
    readers may read differently, for an unpaired surrogate, which cannot be stored, and for too deep nesting.
    """
    try:
        value = json.loads(raw.decode(), parse_constant=_refuse_constant, object_pairs_hook=_object)
        # Raw UTF-8 cannot hold a surrogate, so only a text with an escaped one is encoded again. That costs as much as
        # reading it, but says for certain whether a surrogate stands alone.
        if SURROGATE.search(raw):
            json.dumps(value, ensure_ascii=False).encode()
    except RecursionError:
        raise InvalidRequest("Request body is nested too deeply", body=["Nested too deeply."]) from None
    except UnicodeEncodeError:
        raise InvalidRequest("Request body holds an unpaired surrogate", body=["Unpaired surrogate."]) from None
    except ValueError as error:
        raise InvalidRequest("Request body is not valid JSON", body=[_reason(error)]) from None
    return value


def read(request: Request) -> bytes:
    """Return a request's whole body. Raises RequestEntityTooLarge, and BadRequest for an incomplete or misformed one.

    A body that comes in chunks is read here, because werkzeug would cut it at the limit and ignore the rest.
    """
    try:
        if request.content_length is not None or not request.environ.get("wsgi.input_terminated"):
            return request.get_data()
        body: bytes = request.environ["wsgi.input"].read(MAX_BODY_BYTES + 1)
    except (ParseException, OSError) as error:
        raise BadRequest from error
    if len(body) > MAX_BODY_BYTES:
        raise RequestEntityTooLarge
    return body


class BodyParser(FlaskParser):
    """webargs' parser, except that bodies are read by `loads`, every invalid request is answered 400, and unknown query
    parameters are refused.
    """

    DEFAULT_VALIDATION_STATUS = 400
    DEFAULT_UNKNOWN_BY_LOCATION = FlaskParser.DEFAULT_UNKNOWN_BY_LOCATION | {"query": marshmallow.RAISE}

    def load_json(self, req: Request, schema: marshmallow.Schema) -> Any:  # noqa: ARG002  # webargs passes it
        """Return the body's value. Raises UnsupportedMediaType, InvalidRequest."""
        if not req.is_json:
            raise UnsupportedMediaType
        return loads(read(req))

    def handle_error(self, error: marshmallow.ValidationError, *_: object, **__: object) -> NoReturn:
        """Raise InvalidRequest with the messages for every invalid field by name (in a list: by index, then name)."""
        (messages,) = error.normalized_messages().values()
        invalid = _by_name(messages, MAX_FIELDS_SHOWN)
        raise InvalidRequest(f"Invalid request: see {', '.join(sorted(invalid)[:MAX_ENTRIES_SHOWN])}", **invalid)


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


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise ValueError("a name comes twice in one object")
    return value


def _reason(error: ValueError) -> str:
    return "Not UTF-8." if isinstance(error, UnicodeDecodeError) else f"{error}."[:200]
