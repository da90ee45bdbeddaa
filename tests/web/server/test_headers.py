"""Headers of a client that would mean something else to a WSGI app than to HTTP."""

from __future__ import annotations

import pytest

from tests.support.serving import Server


@pytest.mark.parametrize("name", ["SCRIPT_NAME", "SCRIPT-NAME", "Script_Name", "PATH_INFO", "REMOTE_USER"])
@pytest.mark.parametrize("value", ["/api/v1", "/api", "/elsewhere"])
def test_a_header_does_not_change_which_route_answers(impatient: Server, name: str, value: str) -> None:
    assert impatient.call("GET", "/health", headers={name: value}).json()["status"] == "healthy"


@pytest.mark.parametrize("name", ["X-Forwarded-Proto", "X-Forwarded-Ssl", "X-Forwarded-Protocol"])
def test_contradictory_headers_of_proxies_are_ignored(impatient: Server, name: str) -> None:
    headers = {"X-Forwarded-Proto": "http", name: "https", "X-Forwarded-SSL": "on"}
    assert impatient.call("GET", "/health", headers=headers).status_code == 200
