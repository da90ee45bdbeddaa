"""RATE_LIMIT: each caller may send so many requests in a time; what keeps jobs alive is never refused."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from jobqueue.access.scopes import Scope
from jobqueue.job import Status
from jobqueue.queue.connection import connect
from jobqueue.settings import InvalidSetting
from jobqueue.web import config
from jobqueue.web.access.policy import Access
from jobqueue.web.rates.limiter import NEVER_COUNTED
from tests.support.bench import Bench
from tests.support.paths import ROOT
from tests.support.serving import running_api
from tests.support.tokens import bearer, one_for_each_scope
from tests.support.web import JOB, UNKNOWN_ID, Api

LIMIT = "2/hour"


@pytest.fixture
def api(real_bench: Bench) -> Api:
    """The app with a limit of two requests."""
    return Api(real_bench, rate_limit=LIMIT)


def use_up(api: Api, **more: object) -> None:
    for _ in range(2):
        assert api.call("GET", "/jobs", **more).status_code != 429
    assert api.call("GET", "/jobs", **more).status_code == 429


def test_a_request_beyond_the_limit_is_answered_429_in_the_one_shape(api: Api) -> None:
    use_up(api)
    api.bench.client.pexpire(api.bench.client.keys()[0], 1_234_500)
    response = api.call("POST", "/jobs", JOB)
    assert response.status_code == 429
    context = {"code": "rate_limited", "limit": 2, "window_seconds": 3600, "retry_after_seconds": 1235}
    assert response.get_json()["context"] == context
    assert "RATE_LIMIT" in response.get_json()["error"]
    assert response.headers["Retry-After"] == "1235"
    assert response.headers["RateLimit"] == '"default";r=0;t=1235'
    assert api.bench.queries.stats().by_status()[Status.PENDING] == 0


def test_every_answer_says_what_is_left(api: Api) -> None:
    headers = [api.call("GET", path).headers for path in ("/jobs", f"/jobs/{UNKNOWN_ID}", "/jobs")]
    assert [each["RateLimit"] for each in headers] == [f'"default";r={left};t=3600' for left in (1, 0, 0)]
    assert {each["RateLimit-Policy"] for each in headers} == {'"default";q=2;w=3600'}


def test_several_limits_hold_at_once(real_bench: Bench) -> None:
    api = Api(real_bench, rate_limit="2/minute; 3 per 2 hours")
    first = api.call("GET", "/jobs").headers
    assert first["RateLimit-Policy"] == '"default";q=2;w=60, "default-2";q=3;w=7200'
    assert first["RateLimit"] == '"default";r=1;t=60, "default-2";r=2;t=7200'
    api.call("GET", "/jobs")
    assert api.call("GET", "/jobs").headers["Retry-After"] == "60"
    [minute] = real_bench.client.keys("*minute")
    real_bench.client.delete(minute)
    assert [api.call("GET", "/jobs").status_code for _ in range(2)] == [200, 429]


@pytest.mark.parametrize(("method", "path"), [("GET", "/nothing"), ("DELETE", "/jobs"), ("PUT", "/health")])
def test_what_leads_nowhere_counts_as_well(api: Api, method: str, path: str) -> None:
    statuses = [api.call(method, path).status_code for _ in range(3)]
    assert statuses[0] == statuses[1] in (404, 405)
    assert statuses[2] == 429


def test_each_token_is_counted_by_its_name_and_not_by_its_address(real_bench: Bench) -> None:
    api = Api(real_bench, Access(one_for_each_scope()), LIMIT)
    use_up(api, headers=bearer(Scope.READ))
    assert api.call("GET", "/jobs", headers=bearer(Scope.SUBMIT)).status_code == 200
    elsewhere = {"REMOTE_ADDR": "10.0.0.9"}
    assert api.call("GET", "/jobs", headers=bearer(Scope.READ), environ_base=elsewhere).status_code == 429
    assert api.call("GET", "/jobs").status_code == 401  # the token comes first


@pytest.mark.parametrize(
    ("one", "other", "count_as_one"),
    [
        ("10.0.0.1", "10.0.0.2", False),
        ("10.0.0.1", "::ffff:10.0.0.1", True),
        ("2001:db8::1", "2001:db8::ffff:ffff:ffff:ffff", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("fe80::1%eth0", "fe80::2", True),
        ("", "not an address", True),
    ],
)
def test_callers_without_a_token_are_counted_by_their_network(
    api: Api, one: str, other: str, count_as_one: bool
) -> None:
    use_up(api, environ_base={"REMOTE_ADDR": one})
    assert (api.call("GET", "/jobs", environ_base={"REMOTE_ADDR": other}).status_code == 429) == count_as_one


def test_the_endpoints_that_are_never_counted_exist(api: Api) -> None:
    assert NEVER_COUNTED - {"health.live"} <= set(api.app.view_functions)


def test_what_keeps_a_running_job_alive_is_never_refused(api: Api) -> None:
    [job_id, _] = api.bench.submit(2)
    token = {"attempt_token": api.claim()["attempt_token"]}
    use_one_up = api.call("GET", "/jobs").status_code
    assert use_one_up == 200
    assert api.call("POST", "/jobs/claim", {"executor_id": "worker-1"}).status_code == 429  # may come again
    for _ in range(3):
        assert api.report("heartbeat", job_id, **token).status_code == 200
        beat = {"executor_id": "worker-1", "jobs": [{"id": job_id} | token]}
        assert api.call("POST", "/jobs/bulk/heartbeat", beat).status_code == 200
        assert api.call("GET", "/health").status_code == 200
    result = {"id": job_id, "outcome": "complete", "exit_code": 0} | token
    body = {"executor_id": "worker-1", "results": [result], "claim": {}}
    answer = api.call("POST", "/jobs/bulk/finish", body)
    assert (answer.status_code, len(answer.get_json()["jobs"])) == (200, 1)
    assert "RateLimit" not in answer.headers
    for verb, status in (("complete", 200), ("fail", 400), ("release", 400)):
        assert api.report(verb, job_id, **token).status_code == status


def test_nothing_is_counted_while_redis_is_away_and_the_answer_comes_from_the_queue() -> None:
    with connect("redis://127.0.0.1:1/0") as client:
        api = Api(Bench(client), rate_limit=LIMIT)
        answers = [api.call("GET", "/jobs") for _ in range(4)]
    assert {answer.get_json()["context"]["code"] for answer in answers} == {"store_unavailable"}
    assert not any("RateLimit" in answer.headers for answer in answers)


@pytest.fixture
def full(api: Api) -> Iterator[Api]:
    api.bench.client.config_set("maxmemory", 1)
    yield api
    api.bench.client.config_set("maxmemory", 0)


def test_a_full_redis_does_not_lift_the_limit(full: Api) -> None:
    use_up(full)


def test_all_counts_have_keys_of_the_queue_and_end_by_themselves(api: Api) -> None:
    for number in range(5):
        api.call("GET", "/jobs", environ_base={"REMOTE_ADDR": f"10.0.0.{number}"})
    client = api.bench.client
    keys = [*map(str, client.keys())]
    assert len(keys) == 5
    assert all(key.startswith("{jobqueue}:rate:") and 0 < client.pttl(key) <= 3_600_000 for key in keys)


@pytest.mark.parametrize(
    "value",
    [
        *("10", "10/fortnight", "0/second", "10/0 second", "10 per 0 second", "-1/second", "ten/second", "10/second;"),
        *(";", "1/second;1/second", "60/minute; 60 per 60 seconds", "9" * 5000 + "/second"),
        ";".join(f"{number}/second" for number in range(1, 7)),
    ],
)
def test_a_wrong_limit_is_refused_at_the_start_by_name(value: str) -> None:
    with pytest.raises(InvalidSetting, match=r"^RATE_LIMIT is .*10/second"):
        config.load({"RATE_LIMIT": value})


@pytest.mark.parametrize("value", ["10/second", "10 per second;100/hour", " 5/2 minutes , 7 per day "])
def test_a_limit_is_written_as_flask_limiter_writes_it(value: str) -> None:
    assert config.load({"RATE_LIMIT": value}).rate_limit


def test_without_a_limit_flask_limiter_is_not_even_imported() -> None:
    code = (
        "import sys; from jobqueue.web import config, factory\n"
        "factory.create_app(factory.create_services(config.load({})))\n"
        "print([name for name in ('flask_limiter', 'limits') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_the_processes_of_a_server_count_together(tmp_path: Path, redis_url: str) -> None:
    with running_api(tmp_path, REDIS_URL=redis_url, RATE_LIMIT="7/hour") as server:
        statuses = [requests.get(f"{server.url}/jobs", timeout=10).status_code for _ in range(12)]
        assert statuses.count(200) == 7 - requests.get(f"{server.url}/jobs", timeout=10).ok
        assert set(statuses[7:]) == {429}
        assert requests.get(f"{server.url}/health", timeout=10).status_code == 200
