"""Reading a job's output by offset, while the program runs and after it has ended."""

from __future__ import annotations

from typing import Any

import pytest

from jobqueue.output import HALF_BYTES, LIVE_BYTES, missing_line
from tests.support.web import UNKNOWN_ID, Api

FIELDS = ["id", "status", "stream", "offset", "data", "next_offset", "ended"]


@pytest.fixture
def running(api: Api) -> str:
    """The id of a running job."""
    api.submit()
    return str(api.claim()["id"])


def send_output(api: Api, job_id: str, **output: Any) -> None:
    """Send new output with a heartbeat: for each stream its offset and its data."""
    pieces = {stream: {"offset": offset, "data": data} for stream, (offset, data) in output.items()}
    assert api.report("heartbeat", job_id, output=pieces).status_code == 200


def read(api: Api, job_id: str, query: str = "") -> list[Any]:
    """Return the offset of the data, the data, the next offset, and whether the output has ended."""
    answer = api.get(f"/jobs/{job_id}/output{query}")
    assert list(answer) == FIELDS
    return [answer[name] for name in FIELDS[3:]]


def test_a_part_of_an_output_names_its_job_stream_and_offset(api: Api, running: str) -> None:
    send_output(api, running, stderr=(0, "é\n"))
    assert api.get(f"/jobs/{running}/output?stream=stderr&offset=0") == {
        "id": running,
        "status": "running",
        "stream": "stderr",
        "offset": 0,
        "data": "é\n",
        "next_offset": 3,
        "ended": False,
    }


def test_an_output_without_a_query_is_all_of_stdout(api: Api, running: str) -> None:
    send_output(api, running, stdout=(0, "out"), stderr=(0, "err"))
    assert read(api, running) == [0, "out", 3, False]


def test_a_program_can_be_followed_to_its_end(api: Api, running: str) -> None:
    seen, offset, written = "", 0, ""
    for line in ("one\n", "zwei ü\n", "三\n"):
        send_output(api, running, stdout=(len(written.encode()), line))
        written += line
        _, data, offset, ended = read(api, running, f"?offset={offset}")
        assert not ended
        seen += data
    api.report("complete", running, stdout=written + "end\n")
    _, data, offset, ended = read(api, running, f"?offset={offset}")
    assert (seen + data, ended) == (written + "end\n", True)
    assert read(api, running, f"?offset={offset}") == [offset, "", offset, True]


def test_the_latest_part_of_a_long_live_output_can_be_read(api: Api, running: str) -> None:
    send_output(api, running, stdout=(0, "a" * LIVE_BYTES))
    send_output(api, running, stdout=(LIVE_BYTES, "b" * 10))
    assert read(api, running, "?offset=3") == [10, "a" * (LIVE_BYTES - 10) + "b" * 10, LIVE_BYTES + 10, False]


def test_head_and_tail_of_a_truncated_output_have_their_original_offsets(api: Api, running: str) -> None:
    total_bytes = 10_000_000
    stored = "h" * HALF_BYTES + missing_line(total_bytes - 2 * HALF_BYTES) + "t" * HALF_BYTES
    api.report("fail", running, stdout=stored, stdout_bytes=total_bytes, stdout_truncated=True)
    assert read(api, running) == [0, stored, total_bytes, True]
    assert read(api, running, f"?offset={total_bytes - 2}") == [total_bytes - 2, "tt", total_bytes, True]
    assert read(api, running, f"?offset={total_bytes + 2}") == [total_bytes, "", total_bytes, True]


def test_a_pending_job_has_no_output_yet(api: Api) -> None:
    assert read(api, api.submit(), "?offset=17") == [0, "", 0, False]


@pytest.mark.parametrize("offset", [3, 4, 2**53 - 1])
def test_an_output_beyond_its_end_is_empty(api: Api, running: str, offset: int) -> None:
    send_output(api, running, stdout=(0, "out"))
    assert read(api, running, f"?offset={offset}") == [3, "", 3, False]


def test_an_unknown_job_has_no_output(api: Api) -> None:
    response = api.call("GET", f"/jobs/{UNKNOWN_ID}/output")
    assert response.status_code == 404
    assert response.get_json()["context"] == {"code": "job_not_found", "job_id": UNKNOWN_ID}


@pytest.mark.parametrize("output", [None, {}, {"stdout": None}, {"stdout": None, "stderr": None}])
def test_a_heartbeat_may_bring_no_output(api: Api, running: str, output: Any) -> None:
    assert api.report("heartbeat", running, output=output).status_code == 200
    assert read(api, running) == [0, "", 0, False]


def test_a_heartbeat_may_bring_a_megabyte_of_each_stream(api: Api, running: str) -> None:
    send_output(api, running, stdout=(0, "\0" * 1024 * 1024), stderr=(0, "é" * 512 * 1024))
    assert read(api, running)[2] == 1024 * 1024


def test_the_largest_offset_is_accepted(api: Api, running: str) -> None:
    send_output(api, running, stdout=(2**53 - 1, "out"))
    assert read(api, running)[1] == "out"


def test_a_part_that_begins_inside_a_character_replaces_the_window(api: Api, running: str) -> None:
    send_output(api, running, stdout=(0, "é"))
    send_output(api, running, stdout=(1, "é"))
    assert read(api, running) == [1, "é", 3, False]


@pytest.mark.parametrize("impostor", ["worker-2", "worker-1"])
def test_output_from_anybody_but_the_holder_is_refused(api: Api, running: str, impostor: str) -> None:
    token = {"attempt_token": "0" * 32} if impostor == "worker-1" else {}
    piece = {"stdout": {"offset": 0, "data": "forged"}}
    assert api.report("heartbeat", running, impostor, output=piece, **token).status_code == 404
    assert read(api, running)[1] == ""
