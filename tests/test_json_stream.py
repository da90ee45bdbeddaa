"""JSON written in pieces decodes to the same value as JSON written at once."""

from __future__ import annotations

import io
import json

import pytest

from jobqueue import json_stream
from jobqueue.job import Reason

VALUES = [
    "",
    'quotes " and \\ and \n and \0',
    "ä€𝄞" * json_stream.PIECE_CHARACTERS,
    {},
    {
        "text": "x",
        "number": 1.5,
        "nothing": None,
        "list": ["ä", 1],
        "word": Reason.EXITED,
        "inner": {"a": "b", "c": {}},
    },
]


def written(value: object) -> bytes:
    file = io.BytesIO()
    json_stream.write(file, value)
    return file.getvalue()


@pytest.mark.parametrize("value", VALUES, ids=["empty", "escapes", "long", "empty object", "object"])
def test_a_value_reads_as_it_was_written(value: object) -> None:
    assert json.loads(written(value)) == value


@pytest.mark.parametrize("begun", [None, {}, {"stdout": "text"}], ids=["empty file", "empty object", "object"])
@pytest.mark.parametrize("members", [{}, {"a": 1, "b": "two"}], ids=["none", "some"])
def test_an_extended_object_has_both_halves(begun: dict[str, object] | None, members: dict[str, object]) -> None:
    file = io.BytesIO(b"" if begun is None else written(begun))
    json_stream.extend(file, members)
    assert json.loads(file.getvalue()) == {**(begun or {}), **members}


def test_only_a_piece_of_a_long_string_is_encoded_at_a_time() -> None:
    sizes: list[int] = []

    class Recorder(io.BytesIO):
        def write(self, data: object) -> int:
            assert isinstance(data, bytes)
            sizes.append(len(data))
            return len(data)

    json_stream.write(Recorder(), "\0" * 10 * json_stream.PIECE_CHARACTERS)
    assert max(sizes) == 6 * json_stream.PIECE_CHARACTERS


@pytest.mark.parametrize("text", [*map(chr, range(128)), "€🎉" * 40_000, 'a"\\\n\0\x1f\u2028' * 20_000, "\\u0000\\\\n"])
def test_utf_8_is_written_as_the_same_text(text: str) -> None:
    file = io.BytesIO()
    json_stream.write_utf8(file, text.encode())
    assert json.loads(file.getvalue()) == text
