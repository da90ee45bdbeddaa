"""Jobs that write a megabyte to each of their outputs: their rate, and the memory of the worker."""

from __future__ import annotations

from pathlib import Path

from benchmarks.figures import rate_between
from benchmarks.outcome import Effort, Group, at_least, at_most, skipped
from benchmarks.rig.deployment import deployed
from benchmarks.rig.programs import ONE_MEGABYTE, compiled, compiler
from benchmarks.rig.usage import family, status_kb, watching_memory
from benchmarks.rig.worker import running_worker

RATE, MEGABYTES = 60, 64
NAMES = ("1 MB on both streams", "1 MB on both streams: memory of the worker")


def measure(effort: Effort, folder: Path) -> Group:
    """Run such jobs with two slots; then others while the memory is watched, which slows them down by a seventh: the
    kernel adds up the pages of a process while the process itself must wait for new ones.
    """
    count, first, watched = effort.of(300, 20), effort.of(20, 5), effort.of(100, 10)
    if not compiler():
        return Group([skipped(name, "", "There is no C compiler here (cc, gcc or clang).") for name in NAMES])
    with deployed(folder) as deployment:
        job = deployment.host.job(compiled(ONE_MEGABYTE, folder, "megabyte"))
        deployment.queue(job, count)
        with running_worker(deployment.server, folder, 2) as worker:
            deployment.wait_for(count)
            rate = rate_between(deployment.ended_at(), first)
            processes = [*family(worker.pid)]
            servers = deployment.server.workers()
            with watching_memory(processes) as peak, watching_memory(servers) as server_peak:
                deployment.queue(job, watched)
                deployment.wait_for(watched)
            resident = status_kb(worker.pid, "VmHWM:") / 1024
        redis = deployment.store.used_bytes() / watched / 1e6
    together, server_process = peak.together_kb / 1024, max(server_peak.each_kb.values()) / 1024
    return Group(
        [
            at_least(NAMES[0], f"{rate:.0f} jobs/s", rate, RATE, " jobs/s"),
            at_most(NAMES[1], f"{together:.0f} MB in {len(processes)} processes", together, MEGABYTES, " MB"),
        ],
        notes=[
            f"With outputs of 1 MB, the process of the worker that talks to the API has {resident:.0f} MB resident at "
            f"most, a server process {server_process:.0f} MB; Redis keeps {redis:.1f} MB per job."
        ],
    )
