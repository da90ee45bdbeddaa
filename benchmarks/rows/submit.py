"""POST /jobs beside a bare route under the same gunicorn, in turns: requests per second over 64 connections."""

from __future__ import annotations

from pathlib import Path
from statistics import median

from benchmarks.clients.load import Load, send_load
from benchmarks.clients.requests import REFERENCE, Refused, request_bytes
from benchmarks.figures import paired_ratios, percentile, spread
from benchmarks.outcome import Effort, Group, at_least
from benchmarks.rig.deployment import Deployment, deployed
from benchmarks.rig.servers import CEILING, Server, running_server
from benchmarks.rig.usage import cpu_seconds

BOUND = 0.8


def measure(effort: Effort, folder: Path) -> Group:
    """Send the reference job to ours and to the bare route, in turns."""
    ours: list[float] = []
    ceiling: list[float] = []
    costs: list[str] = []
    server_ms: list[float] = []
    with deployed(folder) as deployment, running_server(deployment.store, folder, CEILING) as bare:
        for server in (deployment.server, bare):
            _turn(deployment, server, effort.of(2, 1))
        for _ in range(effort.of(5, 1)):
            for server, rates in ((deployment.server, ours), (bare, ceiling)):
                load, each_ms, cost = _turn(deployment, server, effort.of(4, 1))
                rates.append(load.per_second)
                server_ms.append(each_ms)
                costs.append(cost)
                effort.say(f"{'ours' if rates is ours else 'bare route'}: {load.per_second:.0f}/s, {cost}")
    ratios = paired_ratios(ours, ceiling)
    measured = f"{spread(ratios, 2)}: {spread(ours)} of {spread(ceiling)} requests/s"
    by_cpu = median(paired_ratios(server_ms[1::2], server_ms[::2]))
    middle = len(costs) // 2 // 2 * 2
    notes = [
        f"`POST /jobs`: {costs[middle]}.",
        f"The bare route: {costs[middle + 1]}. By CPU time of the server the ratio is {by_cpu:.2f}.",
    ]
    return Group([at_least("`POST /jobs` against the bare route", measured, median(ratios), BOUND)], notes=notes)


def _turn(deployment: Deployment, server: Server, seconds: int) -> tuple[Load, float, str]:
    """Send for some seconds; return what came, the server's CPU milliseconds of a request, and the rest in words."""
    deployment.store.client.flushdb()
    before = cpu_seconds(server.pid), cpu_seconds(deployment.store.pid)
    load = send_load(server.port, [request_bytes("POST", "/jobs", REFERENCE)], seconds=seconds)
    after = cpu_seconds(server.pid), cpu_seconds(deployment.store.pid)
    if [*load.statuses] != ["201"]:
        raise Refused(str(load.statuses))
    each = [(end - start) * 1000 / load.statuses["201"] for start, end in zip(before, after, strict=True)]
    tail = percentile(load.latencies_ms, 0.99)
    return (
        load,
        each[0],
        (
            f"{each[0]:.2f} ms of server CPU and {each[1]:.2f} ms of Redis per request, latency "
            f"{median(load.latencies_ms):.0f} ms (median) and {tail.value:.0f} ms ({tail.label}); "
            f"the client used {load.cpu_seconds / load.seconds:.0%} of a core"
        ),
    )
