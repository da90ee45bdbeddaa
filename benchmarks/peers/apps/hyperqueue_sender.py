"""HyperQueue in this process, with a worker: `python hyperqueue_sender.py CORES`. It starts programs by itself.

It says only when all tasks of a job have ended, so the first hundred are a job of their own.
"""

import os
import sys
import tempfile
import time
from pathlib import Path

from hyperqueue import Job, LocalCluster
from hyperqueue.cluster import WorkerConfig
from task import note

FIRST = 100

answers = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)  # It prints tables and progress bars.
with tempfile.TemporaryDirectory() as folder, LocalCluster(None, WorkerConfig(int(sys.argv[1]))) as cluster:
    client = cluster.client()

    def submit(count, program):
        """Submit a job of that many tasks."""
        job = Job(default_workdir=folder)
        for _ in range(count):
            job.program([program], stdout=f"{folder}/output" if count == 1 else None, stderr=None)
        return client.submit(job)

    for line in sys.stdin:
        words = line.split()
        total = int(words[0])
        started = time.monotonic_ns()
        parts = [FIRST, total - FIRST] if total > FIRST else [total]
        jobs = [submit(part, words[1]) for part in parts]
        print(started, file=answers, flush=True)
        for part, job in zip(parts, jobs, strict=True):
            client.wait_for_jobs([job])
            for _ in range(part):
                note(Path(folder, "output").read_text().strip() if total == 1 else "")
