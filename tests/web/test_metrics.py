"""Metrics of the queue and of HTTP requests; no client can create new series."""

from __future__ import annotations

import re
import uuid
from pathlib import Path

import pytest
import redis

from jobqueue.queue.connection import connect
from jobqueue.queue.policy import Policy
from tests.support.bench import Bench
from tests.support.redis_server import running_redis
from tests.support.serving import Server, running_api
from tests.support.web import JOB, Api

STATUSES = ("pending", "running", "completed", "failed", "cancelled")
PRIORITIES = ("foreground", "background", "best_effort")
QUEUE = {
    *(f'jobqueue_jobs{{status="{status}"}}' for status in STATUSES),
    *(f'jobqueue_pending_jobs{{priority="{priority}"}}' for priority in PRIORITIES),
    *(f'jobqueue_oldest_pending_seconds{{priority="{priority}"}}' for priority in PRIORITIES),
    *(f'jobqueue_executors{{state="{state}"}}' for state in ("busy", "idle")),
    *(f'jobqueue_jobs_finished_total{{status="{status}"}}' for status in ("completed", "failed", "cancelled")),
    "jobqueue_attempts_lost_total",
    "jobqueue_attempts_never_received_total",
    "jobqueue_host_faults_total",
    "jobqueue_redis_up",
    "jobqueue_store_full",
}


def samples(exposition: str) -> dict[str, float]:
    """Return every sample by name and labels."""
    lines = [line.rpartition(" ") for line in exposition.splitlines() if not line.startswith("#")]
    assert len({name for name, _, _ in lines}) == len(lines), "a sample comes twice"
    return {name: float(value) for name, _, value in lines}


@pytest.fixture
def own_api(real_client: redis.Redis) -> Api:
    """An app that has served no request yet."""
    return Api(Bench(real_client, Policy(max_attempts=2)))


def scrape(api: Api) -> dict[str, float]:
    response = api.call("GET", "/metrics")
    assert response.status_code == 200
    return samples(response.text)


def test_metrics_are_in_prometheus_text_format(own_api: Api) -> None:
    response = own_api.call("GET", "/metrics")
    assert response.content_type == "text/plain; version=0.0.4; charset=utf-8"
    assert response.text.endswith("\n")
    families = re.findall(r"^# TYPE (\S+) (counter|gauge|histogram|untyped)$", response.text, re.MULTILINE)
    assert {"jobqueue_jobs", "jobqueue_redis_up", "flask_http_request_duration_seconds"} <= {
        name for name, _ in families
    }
    assert len(set(families)) == len(families)


def test_every_metric_of_an_empty_queue_is_there_and_zero(own_api: Api) -> None:
    series = {name: value for name, value in scrape(own_api).items() if name.startswith("jobqueue_")}
    assert series == {**dict.fromkeys(QUEUE, 0.0), "jobqueue_redis_up": 1.0}


def test_metrics_count_the_jobs_and_executors_of_the_queue(own_api: Api) -> None:
    for status, count in {"completed": 3, "failed": 2, "cancelled": 1, "running": 2}.items():
        for _ in range(count):
            own_api.make_job(status)
    own_api.call("POST", "/jobs/claim", {"executor_id": "worker-2"})
    own_api.submit(priority="foreground")
    own_api.bench.clock.advance(1500)
    own_api.submit(priority="best_effort")
    own_api.submit(priority="best_effort")
    own_api.bench.clock.advance(1000)
    counted = {name: value for name, value in scrape(own_api).items() if value and name.startswith("jobqueue_")}
    assert counted == {
        'jobqueue_jobs{status="pending"}': 3,
        'jobqueue_jobs{status="running"}': 2,
        'jobqueue_jobs{status="completed"}': 3,
        'jobqueue_jobs{status="failed"}': 2,
        'jobqueue_jobs{status="cancelled"}': 1,
        'jobqueue_pending_jobs{priority="foreground"}': 1,
        'jobqueue_pending_jobs{priority="best_effort"}': 2,
        'jobqueue_oldest_pending_seconds{priority="foreground"}': 2.5,
        'jobqueue_oldest_pending_seconds{priority="best_effort"}': 1,
        'jobqueue_executors{state="busy"}': 1,
        'jobqueue_executors{state="idle"}': 1,
        'jobqueue_jobs_finished_total{status="completed"}': 3,
        'jobqueue_jobs_finished_total{status="failed"}': 2,
        'jobqueue_jobs_finished_total{status="cancelled"}': 1,
        "jobqueue_redis_up": 1,
    }


def test_counters_of_lost_attempts_and_finished_jobs_never_fall(own_api: Api) -> None:
    own_api.submit()
    for _ in range(2):
        own_api.claim()
        own_api.bench.pass_time(61_000)
    own_api.bench.clock.advance(604_800_000)
    own_api.bench.commands.sweep()  # the job itself is gone
    series = scrape(own_api)
    assert series["jobqueue_attempts_lost_total"] == 2
    assert series['jobqueue_jobs_finished_total{status="failed"}'] == 1
    assert series['jobqueue_jobs{status="failed"}'] == 0


def test_host_faults_are_counted(own_api: Api) -> None:
    for reason in ("host_fault", "download_failed", "worker_shutdown", None):
        own_api.report("release", own_api.submit(), own_api.claim()["executor_id"], reason=reason)
    assert scrape(own_api)["jobqueue_host_faults_total"] == 2


def test_busy_executors_are_counted_as_long_as_they_run_jobs(own_api: Api) -> None:
    def states() -> list[float]:
        series = scrape(own_api)
        return [series[f'jobqueue_executors{{state="{state}"}}'] for state in ("busy", "idle")]

    first, second = own_api.submit(), own_api.submit()
    for _ in range(2):
        own_api.claim()
    own_api.call("POST", "/jobs/claim", {"executor_id": "worker-2"})
    assert states() == [1, 1]
    own_api.report("complete", first)
    assert states() == [1, 1]
    own_api.report("release", second)
    assert states() == [0, 2]


def test_without_redis_metrics_show_redis_down_and_http_requests(tmp_path: Path) -> None:
    with connect(f"unix://{tmp_path}/none.sock") as client:
        api = Api(Bench(client))
        api.call("GET", "/jobs")
        series = scrape(api)
    assert {name: value for name, value in series.items() if name.startswith("jobqueue_")} == {"jobqueue_redis_up": 0.0}
    assert series['flask_http_request_total{method="GET",status="503"}'] == 1


def test_http_is_measured_by_route_rule(own_api: Api) -> None:
    job_id = own_api.submit()
    own_api.call("GET", f"/jobs/{job_id}")
    own_api.call("GET", "/nowhere")
    series = scrape(own_api)
    assert series['flask_http_request_total{method="POST",status="201"}'] == 1
    count = "flask_http_request_duration_seconds_count"
    assert series[f'{count}{{method="GET",status="200",url_rule="/api/v1/jobs/<uuid:job_id>"}}'] == 1
    assert series[f'{count}{{method="POST",status="201",url_rule="/api/v1/jobs"}}'] == 1
    assert series[f'{count}{{method="GET",status="404",url_rule="unmatched"}}'] == 1


def test_a_request_that_no_handler_could_answer_is_counted_once_as_an_exception(own_api: Api) -> None:
    class Killed(BaseException):
        """The end of a greenlet."""

    @own_api.app.get("/killed")
    def killed() -> str:
        raise Killed

    with pytest.raises(Killed):
        own_api.client.get("/killed")
    series = scrape(own_api)
    assert series['flask_http_request_exceptions_total{method="GET",status="500"}'] == 1
    assert series['flask_http_request_total{method="GET",status="500"}'] == 1
    count = "flask_http_request_duration_seconds_count"
    assert series[f'{count}{{method="GET",status="500",url_rule="/killed"}}'] == 1


def test_a_request_is_measured_from_its_beginning_to_its_answer(own_api: Api) -> None:
    own_api.call("GET", "/health")
    series = scrape(own_api)
    name = "flask_http_request_duration_seconds"
    labels = 'method="GET",status="200",url_rule="/api/v1/health"'
    assert 0 < series[f"{name}_sum{{{labels}}}"] < 10
    assert series[f"{name}_count{{{labels}}}"] == 1


def test_no_client_can_create_new_series(own_api: Api) -> None:
    def ask(rounds: int, methods: int) -> None:
        for _ in range(rounds):
            job_id = own_api.submit(type=f"type-{uuid.uuid4()}")
            for path in (f"/jobs/{job_id}", f"/jobs/{uuid.uuid4()}", f"/nowhere/{job_id}", f"/jobs?type={job_id}"):
                own_api.call("GET", path)
            own_api.call("POST", "/jobs/claim", {"executor_id": f"worker-{job_id}"})
        for number in range(methods):
            own_api.call(f"METH{number}", "/jobs")
            own_api.call(f"METH{number}", "/nowhere")
        scrape(own_api)

    ask(1, 1)
    before = set(scrape(own_api))
    ask(100, 40)
    assert set(scrape(own_api)) == before
    assert not [name for name in before if "METH" in name]


def test_two_apps_in_one_process_count_apart(real_client: redis.Redis) -> None:
    one, two = Api(Bench(real_client)), Api(Bench(real_client))
    for _ in range(3):
        one.call("GET", "/health")
    two.call("GET", "/health")
    count = 'flask_http_request_total{method="GET",status="200"}'
    assert (scrape(one)[count], scrape(two)[count]) == (3, 1)


def test_two_processes_show_the_queue_once_and_count_http_together(tmp_path: Path) -> None:
    with running_redis(tmp_path) as redis_url, running_api(tmp_path, REDIS_URL=redis_url) as server:
        for _ in range(40):
            assert server.call("POST", "/jobs", JOB).status_code == 201
        for number in range(40):
            server.call(f"METH{'ABCDEFGHIJ'[number % 10]}", "/jobs")
        scraped = [samples(server.call("GET", "/metrics").text) for _ in range(10)]
    assert all(series.keys() >= QUEUE for series in scraped)
    assert {series['jobqueue_jobs{status="pending"}'] for series in scraped} == {40}
    assert {series['flask_http_request_total{method="POST",status="201"}'] for series in scraped} == {40}
    assert {series['flask_http_request_total{method="UNKNOWN",status="405"}'] for series in scraped} == {40}
    count = 'flask_http_request_duration_seconds_count{method="POST",status="201",url_rule="/api/v1/jobs"}'
    assert {series[count] for series in scraped} == {40}
    assert not list(tmp_path.glob("*metrics*"))
    assert_both_processes_answered(server)


def assert_both_processes_answered(server: Server) -> None:
    """Check in the log that two processes were started, each of them once."""
    assert len(re.findall(r"Booting worker with pid", server.log)) == 2
