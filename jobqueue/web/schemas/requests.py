"""What all request bodies have in common: null for an optional field, and fields that do not exist."""

from __future__ import annotations

from itertools import chain, islice
from typing import Any

from marshmallow import Schema, pre_load
from marshmallow.fields import Field

MAX_UNKNOWN = 20
"""How many unknown fields of one object are reported."""


class Request(Schema):
    """An object in a request body. null in an optional field is the same as leaving it out."""

    error_messages: dict[str, str] = {"type": "Must be an object."}  # noqa: RUF012  # as marshmallow declares it

    def on_bind_field(self, field_name: str, field_obj: Field[Any]) -> None:
        """Document null as a value of every optional field. `normalize` takes it out, so that no field gets it."""
        super().on_bind_field(field_name, field_obj)
        if not field_obj.required:
            field_obj.allow_none = True

    @pre_load
    def normalize(self, data: Any, **_: Any) -> Any:
        """Return the fields of an object without null in optional ones, and without most of very many unknown ones.

        Every unknown field becomes an error: a million of them took 9 seconds.
        """
        if not isinstance(data, dict):
            return data
        if len(data) > len(self.fields) + MAX_UNKNOWN:
            known = [name for name in self.fields if name in data]
            unknown = (name for name in data if name not in self.fields)
            data = {name: data[name] for name in chain(known, islice(unknown, MAX_UNKNOWN))}
        if None not in data.values():
            return data
        return {name: value for name, value in data.items() if value is not None or not self._is_optional(name)}

    def _is_optional(self, name: str) -> bool:
        return name in self.fields and not self.fields[name].required
