"""Results: what an executor may report, how much of it is stored, and how replays are answered."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.web import Api

LIMIT = 1_048_576
FINAL = {"complete": "completed", "fail": "failed"}


@pytest.fixture
def running(api: Api) -> dict[str, Any]:
    """A running job, as the claim answered it."""
    api.submit()
    return api.claim()


@pytest.mark.parametrize("verb", FINAL)
@pytest.mark.parametrize("exit_code", [0, 1, 137, -1, -(2**31), 2**31 - 1])
def test_every_32_bit_exit_code_is_stored(api: Api, running: dict[str, Any], verb: str, exit_code: int) -> None:
    assert api.report(verb, running["id"], exit_code=exit_code).status_code == 200
    assert api.get(f"/jobs/{running['id']}")["exit_code"] == exit_code


def test_a_whole_number_may_be_written_with_a_point(api: Api, running: dict[str, Any]) -> None:
    body = b'{"executor_id": "worker-1", "exit_code": 8.0}'
    path = f"/jobs/{running['id']}/complete"
    assert api.call("PUT", path, data=body, content_type="application/json").status_code == 200
    assert '"exit_code":8,' in api.call("GET", f"/jobs/{running['id']}").text


@pytest.mark.parametrize("body", [{}, {"exit_code": None}, {"exit_code": None, "error_message": None}])
def test_a_program_that_never_ran_has_no_exit_code(api: Api, running: dict[str, Any], body: dict[str, Any]) -> None:
    response = api.call("PUT", f"/jobs/{running['id']}/fail", {"executor_id": "worker-1", **body})
    assert response.status_code == 200
    job = api.get(f"/jobs/{running['id']}")
    shown = ("status", "exit_code", "error_message", "stdout", "stderr")
    assert [job[name] for name in shown] == ["failed", None, None, "", ""]


@pytest.mark.parametrize(
    "text", ["", "line\r\nline\n", "\x00\x01\x1b[31m\x7f", "Grüße 日本 🎉", "\ufffd\uffff", '"\\/']
)
def test_an_output_may_be_any_text(api: Api, running: dict[str, Any], text: str) -> None:
    response = api.report("fail", running["id"], stdout=text, stderr=text[::-1], error_message=text or None)
    assert response.status_code == 200
    job = api.get(f"/jobs/{running['id']}")
    assert (job["stdout"], job["stderr"], job["error_message"]) == (text, text[::-1], text or None)


@pytest.mark.parametrize(
    ("sent", "stored"),
    [
        ("a" * LIMIT, "a" * LIMIT),
        ("a" * (LIMIT + 1), "a" * LIMIT),
        ("ß" * (LIMIT // 2), "ß" * (LIMIT // 2)),
        ("aß" + "ß" * (LIMIT // 2), "aß" + "ß" * (LIMIT // 2 - 2)),
        ("日" * (LIMIT // 3 + 1), "日" * (LIMIT // 3)),
        ("abc" + "🎉" * (LIMIT // 4), "abc" + "🎉" * (LIMIT // 4 - 1)),
        ("\x00" * (LIMIT + 5), "\x00" * LIMIT),
    ],
    ids=["at the limit", "one over", "two bytes each", "odd", "three bytes each", "four bytes each", "NUL"],
)
def test_an_output_is_cut_at_a_megabyte_of_utf_8_and_never_inside_a_character(
    api: Api, running: dict[str, Any], sent: str, stored: str
) -> None:
    assert api.report("complete", running["id"], stdout=sent, stderr=sent).status_code == 200
    job = api.get(f"/jobs/{running['id']}")
    assert job["stdout"] == stored
    assert job["stderr"] == stored


def test_an_error_message_is_cut_like_an_output(api: Api, running: dict[str, Any]) -> None:
    assert api.report("fail", running["id"], error_message="x" + "ß" * LIMIT).status_code == 200
    assert api.get(f"/jobs/{running['id']}")["error_message"] == "x" + "ß" * (LIMIT // 2 - 1)


@pytest.mark.parametrize("verb", FINAL)
def test_a_replay_with_the_token_is_answered_like_the_first_report(
    api: Api, running: dict[str, Any], verb: str
) -> None:
    result = {"attempt_token": running["attempt_token"], "exit_code": 3, "stdout": "out" * LIMIT, "stderr": "err"}
    first = api.report(verb, running["id"], **result)
    job = api.get(f"/jobs/{running['id']}")
    api.bench.clock.advance(5000)
    for _ in range(3):
        again = api.report(verb, running["id"], **result)
        assert (again.status_code, again.get_json()) == (200, first.get_json())
        assert again.headers["Idempotent-Replay"] == "true"
    assert api.get(f"/jobs/{running['id']}") == job
    assert api.get("/admin/executors")[0]["jobs_completed"] == (verb == "complete")


@pytest.mark.parametrize("verb", FINAL)
@pytest.mark.parametrize(
    "change",
    [
        {"attempt_token": None},
        {"exit_code": 4},
        {"stdout": "x"},
        {"stderr": ""},
        {"reason": "timeout"},
        {"signal": "SIGTERM"},
        {"stdout_truncated": True},
    ],
)
def test_a_different_report_after_the_end_is_refused_and_changes_nothing(
    api: Api, running: dict[str, Any], verb: str, change: dict[str, Any]
) -> None:
    result = {"attempt_token": running["attempt_token"], "exit_code": 3, "stdout": "out", "stderr": "err"}
    api.report(verb, running["id"], **result)
    job = api.get(f"/jobs/{running['id']}")
    other = {name: value for name, value in (result | change).items() if value is not None}
    response = api.report(verb, running["id"], **other)
    assert response.status_code == 400
    assert "Idempotent-Replay" not in response.headers
    assert response.get_json() == {
        "error": "Invalid state transition",
        "context": {"code": "not_running", "job_id": running["id"], "status": FINAL[verb]},
    }
    assert api.get(f"/jobs/{running['id']}") == job


@pytest.mark.parametrize(("first", "second"), [("complete", "fail"), ("fail", "complete")])
def test_a_job_ends_once(api: Api, running: dict[str, Any], first: str, second: str) -> None:
    result = {"attempt_token": running["attempt_token"], "exit_code": 0}
    api.report(first, running["id"], **result)
    assert api.report(second, running["id"], **result).status_code == 400
    assert api.get(f"/jobs/{running['id']}")["status"] == FINAL[first]


def test_a_job_is_gone_when_its_retention_ends(api: Api, running: dict[str, Any]) -> None:
    api.report("complete", running["id"], stdout="out")
    api.bench.clock.advance(604_800_000 - 1)
    api.bench.commands.sweep()
    assert api.get(f"/jobs/{running['id']}")["stdout"] == "out"
    api.bench.clock.advance(1)
    api.bench.commands.sweep()
    assert api.call("GET", f"/jobs/{running['id']}").status_code == 404
    assert api.get("/jobs") == []
