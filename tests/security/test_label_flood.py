"""A client invents types and executor ids: no series of metrics is added, and stats and sweeps do not get slower."""

from __future__ import annotations

from typing import cast

from tests.support.bench import Bench, new_job
from tests.support.web import Api

COUNT = 11_000
AT_ONCE = 500
MAX_METRICS_BYTES = 64 * 1024
MAX_REMEMBERED = 10_000


def series(api: Api) -> set[str]:
    """Return the names and labels of all series."""
    text = api.call("GET", "/metrics").text
    assert len(text) < MAX_METRICS_BYTES
    return {line.rpartition(" ")[0] for line in text.splitlines() if not line.startswith("#")}


def commands_of(bench: Bench, script: str) -> int:
    """Run a script and return how many commands Redis has run for it: a time that no other process disturbs."""
    call = {"stats": bench.queries.stats, "sweep": bench.commands.sweep}[script]
    call()  # Redis may not have the script yet
    bench.client.config_resetstat()
    call()
    statistics = bench.client.info("commandstats").items()
    return sum(cast("dict[str, int]", each)["calls"] for name, each in statistics if "info" not in name)


def invent_names(bench: Bench) -> None:
    """Submit jobs of as many types, and claim under as many ids; some of these executors get a job."""
    policy = (bench.policy.lease_ms, bench.policy.max_attempts)
    for first in range(0, COUNT, AT_ONCE):
        numbers = range(first, first + AT_ONCE)
        bench.commands.submit([new_job(type=f"type-{number}") for number in numbers])
        wanted = () if first == 0 else ("no such type",)
        given = ("-", *policy, 1, "a" * 32, "", "", "", *wanted)
        bench.scripts.call_many([("claim", (bench.clock(), f"worker-{number}", *given)) for number in numbers])


def test_invented_names_add_no_series_and_slow_nothing_down(real_bench: Bench) -> None:
    api = Api(real_bench)
    api.bench.submit(2)
    api.claim()
    size = len(api.call("GET", "/admin/stats").data)
    for _ in range(2):  # a request is counted after it has been answered
        before = series(api)
    commands = {script: commands_of(real_bench, script) for script in ("stats", "sweep")}
    invent_names(real_bench)
    assert api.get("/admin/stats")["jobs_by_status"]["pending"] == COUNT - AT_ONCE + 1
    assert api.get("/admin/stats")["active_executors"] == MAX_REMEMBERED
    assert series(api) == before
    assert {script: commands_of(real_bench, script) for script in commands} == commands
    assert len(api.call("GET", "/admin/stats").data) < size + 50
