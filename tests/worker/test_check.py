"""What `worker.py --check` says about the API's token."""

from __future__ import annotations

import pytest

from jobqueue.worker import check, config
from tests.support.fake_api import FORBIDDEN, UNKNOWN_TOKEN
from tests.support.fake_server import Reply, Request, in_json, serving

NO_EXECUTOR = in_json({"error": "Invalid request", "context": {"executor_id": ["Missing data."]}}, 400)


@pytest.mark.parametrize(
    ("token", "reply", "good", "words"),
    [
        ("canary", NO_EXECUTOR, True, "accepts it for claims"),
        ("canary", UNKNOWN_TOKEN, False, "does not know the token"),
        ("canary", FORBIDDEN, False, "lacks the scope execute"),
        ("", NO_EXECUTOR, None, "asks for none"),
        ("", UNKNOWN_TOKEN, False, "asks for a token: set API_TOKEN"),
    ],
)
def test_a_check_says_whether_the_api_accepts_the_token(
    token: str, reply: Reply, good: bool | None, words: str
) -> None:
    def answer(request: Request) -> Reply:
        return in_json({"status": "healthy"}) if request.method == "GET" else reply

    with serving(answer) as api:
        settings = config.load({"API_URL": api.url, "API_TOKEN": token})
        health, finding = check.findings_about_api(settings, {})
    assert health.good
    assert (finding.subject, finding.good, words in finding.text) == ("API_TOKEN", good, True), finding.text
    assert "canary" not in finding.text
    assert api.requests[-1].json == {}  # no executor: such a claim brings nobody a job


def test_a_check_names_a_token_that_cannot_be_used() -> None:
    settings = config.load({"API_TOKEN_FILE": "/no/such/file"})
    (finding,) = check.findings_about_api(settings, {})
    assert not finding.good
    assert "API_TOKEN_FILE=/no/such/file" in finding.text
