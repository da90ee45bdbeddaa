"""HyperQueue in this process, with a worker: `python hyperqueue_sender.py CORES`. It starts programs by itself.

It says only when all tasks of a job have ended. So the time of a task is that of the file that it opened for the output
of its program, which is when the program started.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path

from hyperqueue import Job, LocalCluster
from hyperqueue.cluster import WorkerConfig
from task import note


def run_all(cluster: LocalCluster, lines: object, answers: int) -> None:
    """Run what each line asks for."""
    client = cluster.client()
    for line in lines:
        count, program = line.split()
        with tempfile.TemporaryDirectory() as folder:
            job = Job(default_workdir=folder)
            started = time.monotonic_ns()
            for number in range(int(count)):
                job.program([program], stdout=f"{folder}/{number}.output", stderr=None)
            submitted = client.submit(job)
            os.write(answers, f"{started}\n".encode())
            client.wait_for_jobs([submitted])
            for output in Path(folder).glob("*.output"):
                note(output.stat().st_mtime_ns, output.read_text().strip())


if __name__ == "__main__":
    answers = os.dup(1)
    os.dup2(2, 1)  # It prints tables and progress bars.
    with LocalCluster(None, WorkerConfig(int(sys.argv[1]))) as cluster:
        run_all(cluster, sys.stdin, answers)
