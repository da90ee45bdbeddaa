"""A worker without work, and the server that it asks: CPU time of all their processes in a minute."""

from __future__ import annotations

import time
from pathlib import Path

from benchmarks.outcome import Effort, Group, at_most
from benchmarks.rig.deployment import deployed
from benchmarks.rig.usage import cpu_seconds, family, memory_kb
from benchmarks.rig.worker import running_worker

BOUND = 0.1
SETTLE_SECONDS = 5


def measure(effort: Effort, folder: Path) -> Group:
    """Let a worker with two slots wait."""
    seconds = effort.of(60, 2)
    with deployed(folder) as deployment, running_worker(deployment.server, folder, 2) as worker:
        time.sleep(effort.of(SETTLE_SECONDS, 1))
        before = (cpu_seconds(worker.pid), *deployment.cpu_seconds())
        time.sleep(seconds)
        after = (cpu_seconds(worker.pid), *deployment.cpu_seconds())
        megabytes = sum(map(memory_kb, family(worker.pid))) / 1024
    used, server, redis = (end - start for start, end in zip(before, after, strict=True))
    return Group(
        [at_most("an idle worker for 60 s, all its processes", f"{used:.2f} s of CPU", used, BOUND, " s")],
        notes=[
            f"The idle worker takes {megabytes:.0f} MB in all its processes; "
            f"meanwhile the server used {server:.2f} s of CPU and Redis {redis:.2f} s."
        ],
    )
