"""The peers: which versions are installed, how a worker with two jobs at once is started, and what it keeps.

Everything else is as each of them comes: nothing is tuned, for it or against it.
"""

from __future__ import annotations

from dataclasses import dataclass

JOBS_AT_ONCE = 2


@dataclass(frozen=True)
class Peer:
    """A queue.

    requirements: what pip, or npm, installs. worker, sender: the arguments of its Python (or of node) for the process
    that runs jobs and for the one that submits them; `{redis}` is replaced by the URL. There is no worker where the
    sender starts it itself. promises: what survives a crash, and what is kept of a job.
    """

    name: str
    requirements: tuple[str, ...]
    worker: tuple[str, ...]
    sender: tuple[str, ...]
    promises: str
    uses_node: bool = False


DEFAULTS = "defaults"
PEERS = {
    "celery": Peer(
        "Celery",
        ("celery[redis]==5.7.0", "redis==8.1.0"),
        ("-m", "celery", "-A", "celery_app", "worker", "--concurrency", str(JOBS_AT_ONCE), "--loglevel", "WARNING"),
        ("sender.py", "celery_app"),
        "a job is acknowledged before it runs, so that of a killed worker is lost; no result is kept",
    ),
    "dramatiq": Peer(
        "Dramatiq",
        ("dramatiq[redis]==2.2.1", "redis==8.1.0"),
        ("-m", "dramatiq", "dramatiq_app", "--processes", str(JOBS_AT_ONCE), "--threads", "1"),
        ("sender.py", "dramatiq_app"),
        "a job is acknowledged after it ran; no result is kept",
    ),
    "rq": Peer(
        "RQ",
        ("rq==3.0.0", "redis==8.1.0"),
        ("-m", "rq.cli", "worker-pool", "-n", str(JOBS_AT_ONCE), "-u", "{redis}", "--logging-level", "WARNING"),
        ("sender.py", "rq_app"),
        "a job runs in a process of its own; its result is kept for 500 seconds",
    ),
    "huey": Peer(
        "Huey",
        ("huey==3.5.4", "redis==8.1.0"),
        ("-m", "huey.bin.huey_consumer", "huey_app.huey", "-w", str(JOBS_AT_ONCE), "-k", "process", "-q"),
        ("sender.py", "huey_app"),
        "a job leaves the queue before it runs, so that of a killed worker is lost; no result is kept",
    ),
    "bullmq": Peer(
        "BullMQ",
        ("bullmq@6.7.0", "ioredis@5.11.1"),
        ("bullmq_worker.js", str(JOBS_AT_ONCE)),
        ("bullmq_sender.js",),
        "a job has a lock that is renewed while it runs; its result is kept",
        uses_node=True,
    ),
    "hyperqueue": Peer(
        "HyperQueue",
        ("hyperqueue==0.27.0",),
        (),
        ("hyperqueue_sender.py", str(JOBS_AT_ONCE)),
        "no Redis, nothing on disk: all jobs are lost with its server; outputs go to files",
    ),
}
