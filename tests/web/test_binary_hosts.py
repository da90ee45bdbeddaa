"""With BINARY_HOSTS the server takes only jobs whose programs come from one of these hosts."""

from __future__ import annotations

import pytest
import redis

from jobqueue.net.destinations.hosts import Hosts
from jobqueue.web.factory import create_app
from jobqueue.web.services import Services
from tests.support.bench import Bench
from tests.support.web import JOB, Api

HOSTS = Hosts.of(["files.example", "*.cdn.example:8443", "10.0.0.5", "[::1]:8080", "bücher.example"])
REFUSAL = {"binary_url": ["Must be on one of the hosts that BINARY_HOSTS allows."]}


@pytest.fixture
def strict_api(real_client: redis.Redis) -> Api:
    api = Api(Bench(real_client))
    bench = api.bench
    given = bench.connection, bench.commands, bench.claims, bench.queries
    api.app = create_app(Services(*given, binary_hosts=HOSTS))
    api.client = api.app.test_client()
    return api


@pytest.mark.parametrize(
    "url",
    [
        "https://files.example/x",
        "http://FILES.example.:8080?x",
        "https://user:pass@files.example/x",
        "https://a.b.cdn.example:8443/x",
        "http://10.0.0.5:81/x",
        "http://[0:0::1]:8080/x",
        "http://xn--bcher-kva.example/x",
    ],
)
def test_a_job_from_an_allowed_host_is_taken(strict_api: Api, url: str) -> None:
    strict_api.submit(binary_url=url)
    assert strict_api.call("POST", "/jobs/bulk", [JOB | {"binary_url": url}] * 2).status_code == 201


@pytest.mark.parametrize(
    "url",
    [
        "https://example.com/binary",
        "https://files.example.evil/x",
        "https://files.example@evil/x",
        "https://evil/files.example",
        "https://evil?@files.example",
        "https://evil#@files.example",
        "https://cdn.example:8443/x",
        "https://a.cdn.example/x",
        "http://167772165/x",
        "http://10.5/x",
        "http://[::ffff:10.0.0.5]/x",
        "http://[::1]/x",
        "http://files%2eexample/x",
        "http://evil\\@files.example/x",
    ],
)
def test_a_job_from_elsewhere_is_refused_and_nothing_stored(strict_api: Api, url: str) -> None:
    job = JOB | {"binary_url": url}
    assert list(strict_api.refused("POST", "/jobs", job)) == ["binary_url"]
    good = JOB | {"binary_url": "https://files.example/x"}
    assert list(strict_api.refused("POST", "/jobs/bulk", [good, job, good])) == ["1"]


def test_a_refusal_names_the_setting_and_not_the_url(strict_api: Api) -> None:
    job = JOB | {"binary_url": "https://user:canary@elsewhere/?canary"}
    response = strict_api.call("POST", "/jobs", job)
    assert response.get_json() == {"error": "Invalid request: see binary_url", "context": REFUSAL}


def test_a_large_bulk_names_every_job_from_elsewhere(strict_api: Api) -> None:
    jobs = [JOB | {"binary_url": "https://files.example/x"}] * 150
    jobs[7] = jobs[99] = JOB
    assert strict_api.refused("POST", "/jobs/bulk", jobs) == {"7": REFUSAL, "99": REFUSAL}


def test_without_hosts_a_program_may_come_from_anywhere(api: Api) -> None:
    api.submit(binary_url="http://169.254.169.254/x")
