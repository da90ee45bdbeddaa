"""Names that appear in lists and logs have no invisible and no direction-changing characters; output may have any."""

from __future__ import annotations

import sys
import unicodedata

import pytest
from marshmallow import ValidationError

from jobqueue.web.schemas.text import WORD
from tests.support.web import JOB, Api

HIDDEN_CATEGORIES = {"Cc", "Cf", "Zs", "Zl", "Zp"}
INVISIBLE = [
    "\u00ad", "\u034f", "\u061c", "\u115f", "\u1160", "\u17b4", "\u180b", "\u180e", "\u200b", "\u200c", "\u200d",
    "\u200e", "\u200f", "\u202a", "\u202e", "\u2028", "\u2029", "\u2060", "\u2065", "\u2066", "\u2069", "\u2800",
    "\u3164", "\ufe0f", "\ufeff", "\uffa0", "\ufff9", "\uffff", "\x1b", "\x7f", "\x85", "\xa0", "\u3000", "\U0001d173",
    "\U000e0020", "\U000e0001", "\U000e0100", "\U0001bca0", "\U0001fffe",
]  # fmt: skip
VISIBLE = ["é", "e\u0301", "日本", "नमस्ते", "שלום", "\U0001f389", "~!@#$%^&*()", "\ue000", "x"]


def is_accepted(text: str) -> bool:
    """Return whether a text is a valid name."""
    try:
        for rule in WORD:
            rule(text)
    except ValidationError:
        return False
    return True


def test_no_character_that_unicode_counts_as_space_control_or_format_is_accepted() -> None:
    hidden = [chr(code) for code in range(sys.maxunicode + 1) if unicodedata.category(chr(code)) in HIDDEN_CATEGORIES]
    assert len(hidden) > 200
    assert [ascii(character) for character in hidden if is_accepted(f"a{character}b")] == []


@pytest.mark.parametrize("character", INVISIBLE, ids=ascii)
def test_a_type_and_an_executor_id_with_an_invisible_character_are_refused(api: Api, character: str) -> None:
    for name in (f"a{character}b", character):
        assert list(api.refused("POST", "/jobs", {**JOB, "type": name})) == ["type"]
        assert list(api.refused("POST", "/jobs", {**JOB, "binary_url": f"https://h/{name}"})) == ["binary_url"]
        assert list(api.refused("POST", "/jobs/claim", {"executor_id": name})) == ["executor_id"]


@pytest.mark.parametrize("name", VISIBLE)
def test_a_type_and_an_executor_id_may_have_any_visible_characters(api: Api, name: str) -> None:
    job_id = api.submit(type=name)
    assert api.claim(name)["type"] == name
    assert api.report("complete", job_id, name).status_code == 200


@pytest.mark.parametrize("newline", ["\n", "\r", "\u2028", "\x85"])
def test_a_line_break_at_the_end_of_a_text_with_a_pattern_is_refused(api: Api, newline: str) -> None:
    for field in ("type", "binary_url", "binary_sha256"):
        assert list(api.refused("POST", "/jobs", {**JOB, field: JOB[field] + newline})) == [field]


def test_output_messages_and_arguments_may_have_invisible_characters(api: Api) -> None:
    text = "".join(INVISIBLE)
    job_id = api.submit(arguments=[text], env_variables={f"A{text}": text})
    api.claim()
    assert api.report("fail", job_id, stdout=text, stderr=text, error_message=text).status_code == 200
    job = api.get(f"/jobs/{job_id}")
    assert job["stdout"] == job["stderr"] == job["error_message"] == job["arguments"][0] == text
