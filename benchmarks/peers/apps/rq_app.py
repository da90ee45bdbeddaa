"""The task for RQ."""

import redis
from rq import Queue
from task import REDIS_URL, run

queue = Queue(connection=redis.Redis.from_url(REDIS_URL))


def send(program: str) -> None:
    """Submit a job."""
    queue.enqueue(run, program)
