"""Checks that a server refuses a request, and goes on as if nothing had been."""

from __future__ import annotations

import json

from tests.support.raw_http import answers
from tests.support.serving import Server


def assert_refused(served: Server, request_: bytes, status: int) -> None:
    """Check that a request is refused with this status, in the one shape, and that all is well afterwards."""
    answer = answers(served.send(request_))[0]
    assert answer.status == status, answer
    assert b"X-Injected" not in answer.head
    assert b"\r\nContent-Type: application/json\r\n" in answer.head + b"\r\n"
    shape = json.loads(answer.body)
    assert list(shape) == ["error", "context"]
    assert shape["error"]
    assert not [word for word in ("Traceback", ".py", "gunicorn", "<html") if word in answer.body.decode()]
    assert served.call("GET", "/health").status_code == 200
    assert served.call("GET", "/jobs").headers["X-Total-Count"] == "0"
    assert "event=crash" not in served.log
