"""Reads request bodies: strictly JSON as everybody else reads it, and every fault in them told at once."""

from __future__ import annotations

import json
from collections.abc import Mapping
from itertools import islice
from typing import Any, NoReturn

import marshmallow
from flask import Request
from gunicorn.http.errors import ParseException
from webargs.flaskparser import FlaskParser
from werkzeug.exceptions import BadRequest, RequestEntityTooLarge, UnsupportedMediaType

from jobqueue.errors import InvalidRequest

MAX_BODY_BYTES = 13 * 1024 * 1024
"""Two outputs of 1 MiB, each byte of them written as six (`\\u0000`), and room for the rest."""

FIELDS_SHOWN = 1000
FAULTS_SHOWN = 20
NAME_SHOWN = 200
"""How many faults of a body are told, how many inside one field of it, and how much of a field's name."""


def loads(raw: bytes) -> Any:
    """Return the value of a JSON text in UTF-8.

    Raises InvalidRequest for what JSON does not know (NaN), what two readers may read differently (a repeated name),
    what cannot be stored (half a surrogate pair) and what is nested too deeply to be read.
    """
    try:
        value = json.loads(raw.decode(), parse_constant=_refuse_constant, object_pairs_hook=_object)
        json.dumps(value, ensure_ascii=False).encode()
    except RecursionError:
        raise InvalidRequest("Request body is nested too deeply", body=["Nested too deeply."]) from None
    except UnicodeEncodeError:
        raise InvalidRequest("Request body holds an unpaired surrogate", body=["Unpaired surrogate."]) from None
    except ValueError as error:
        raise InvalidRequest("Request body is not valid JSON", body=[_reason(error)]) from None
    return value


def read(request: Request) -> bytes:
    """Return a request's whole body. Raises RequestEntityTooLarge, BadRequest when it is broken off or badly chunked.

    A body that comes in chunks is read by hand: werkzeug would cut it at the limit and take the rest for nothing.
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
    """webargs' parser with `loads` for bodies, 400 for every fault, and unknown query parameters refused too."""

    DEFAULT_VALIDATION_STATUS = 400
    DEFAULT_UNKNOWN_BY_LOCATION = {  # noqa: RUF012  # webargs declares it so
        **FlaskParser.DEFAULT_UNKNOWN_BY_LOCATION,
        "query": marshmallow.RAISE,
    }

    def load_json(self, req: Request, schema: marshmallow.Schema) -> Any:  # noqa: ARG002  # webargs hands it over
        """Return the body's value. Raises UnsupportedMediaType, InvalidRequest."""
        if not req.is_json:
            raise UnsupportedMediaType
        return loads(read(req))

    def handle_error(self, error: marshmallow.ValidationError, *_: object, **__: object) -> NoReturn:
        """Raise InvalidRequest with every fault by field name (in a list: by index, then field)."""
        (messages,) = error.normalized_messages().values()
        faults = _by_name(messages)
        raise InvalidRequest(f"Invalid request: {_places(faults)}", **faults)


def _by_name(messages: Any, at_most: int = FIELDS_SHOWN) -> dict[str, Any]:
    """Return messages with text for every key: JSON has no other, and sorting mixed ones fails.

    Only so many are kept, and only so much of a name, or a large body could ask for a still larger answer.
    """
    if not isinstance(messages, dict):
        return {"body": messages}
    return {
        "body" if name == "_schema" else str(name)[:NAME_SHOWN]: _by_name(inner, FAULTS_SHOWN)
        if isinstance(inner, dict)
        else inner
        for name, inner in islice(messages.items(), at_most)
    }


def _places(faults: Mapping[str, Any]) -> str:
    return "see " + ", ".join(sorted(faults)[:20])


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name comes twice in one object")
    return found


def _reason(error: ValueError) -> str:
    if isinstance(error, UnicodeDecodeError):
        return "Not UTF-8."
    return f"{error}."[:200]
