"""The measured fields of a run, declared once in `jobqueue.job.Measured`: how each is reported and shown.

The name of a field says of which kind it is. Executors report moments in milliseconds (`…_at_ms`); answers show them as
timestamps (`…_at`). All other fields have the same name in reports and in answers.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from marshmallow import fields as basic
from marshmallow import validate

from jobqueue.job import Measured
from jobqueue.web.schemas import fields

MOMENT = validate.Range(0, fields.LATEST_MOMENT_MS)
BY_CLOCK = {"description": "In milliseconds since 1970 by the executor's clock."}
Fields = dict[str, basic.Field[Any]]
Make = Callable[..., basic.Field[Any]]

Check = Callable[[Any], bool]

KINDS: dict[str, tuple[Make, Make, Check]] = {
    "signal": (
        partial(basic.String, validate=fields.SIGNAL),
        basic.String,
        lambda value: type(value) is str and fields.SIGNAL.matches(value),
    ),
    "_bytes": (
        partial(fields.WholeNumber, validate=fields.EXACT),
        basic.Integer,
        lambda value: type(value) is int and 0 <= value < fields.MAX_EXACT,
    ),
    "_truncated": (fields.Flag, basic.Boolean, lambda value: type(value) is bool),
    "_seconds": (
        partial(fields.Number, validate=validate.Range(min=0)),
        basic.Float,
        lambda value: type(value) in (int, float) and 0 <= value <= fields.MAX_FLOAT,
    ),
    "_ms": (
        partial(fields.WholeNumber, validate=MOMENT, metadata=BY_CLOCK),
        fields.timestamp,
        lambda value: type(value) is int and 0 <= value <= fields.LATEST_MOMENT_MS,
    ),
}
"""By the end of a field's name: what makes the field of a report, what makes the field of an answer, and whether a
value from JSON is certainly valid in a report.
"""


def reported() -> Fields:
    """Return the fields of a report by name. All are optional."""
    measured = dataclasses.fields(Measured)
    return {field.name: _kind(field.name)[0](load_default=None) for field in measured}


def shown() -> Fields:
    """Return the fields of an answer by name. A field whose default is None is null until it is measured."""
    return {
        field.name.removesuffix("_ms"): _kind(field.name)[1](required=True, allow_none=field.default is None)
        for field in dataclasses.fields(Measured)
    }


def checks() -> dict[str, Check]:
    """Return for each field of a report whether a value is certainly valid (`shortcut`)."""
    return {field.name: _kind(field.name)[2] for field in dataclasses.fields(Measured)}


def loaded(report: Mapping[str, Any]) -> Measured:
    """Return the measured fields of a report. Those that are missing there keep their defaults."""
    names = [field.name for field in dataclasses.fields(Measured)]
    return Measured(**{name: report[name] for name in names if report[name] is not None})


def _kind(name: str) -> tuple[Make, Make, Check]:
    return next(kind for ending, kind in KINDS.items() if name.endswith(ending))
