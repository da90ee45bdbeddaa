"""Headers of a client that would mean something else to a WSGI app than to HTTP."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest
import requests

from tests.support.serving import Server
from tests.support.waiting import wait_until


@pytest.mark.parametrize("name", ["SCRIPT_NAME", "SCRIPT-NAME", "Script_Name", "PATH_INFO", "REMOTE_USER"])
@pytest.mark.parametrize("value", ["/api/v1", "/api", "/elsewhere"])
def test_a_header_does_not_change_which_route_answers(impatient: Server, name: str, value: str) -> None:
    assert impatient.call("GET", "/health", headers={name: value}).json()["status"] == "healthy"


@pytest.mark.parametrize("name", ["X-Forwarded-Proto", "X-Forwarded-Ssl", "X-Forwarded-Protocol"])
def test_contradictory_headers_of_proxies_are_ignored(impatient: Server, name: str) -> None:
    headers = {"X-Forwarded-Proto": "http", name: "https", "X-Forwarded-SSL": "on"}
    assert impatient.call("GET", "/health", headers=headers).status_code == 200


def test_a_path_that_does_not_begin_with_the_variable_script_name_does_not_exist(tmp_path: Path) -> None:
    server = Server(tmp_path, {"SCRIPT_NAME": "/prefix", "WEB_CONCURRENCY": "1"})
    statuses: list[int] = []

    def answers() -> bool:
        with suppress(requests.ConnectionError):
            statuses.append(server.call("GET", "/openapi.json").status_code)
        return bool(statuses)

    try:
        server.launch()
        wait_until("gunicorn answers", answers)
        assert requests.get(f"{server.root}/prefix/api/v1/openapi.json", timeout=15).status_code == 200
        assert statuses == [404]
    finally:
        server.stop()
