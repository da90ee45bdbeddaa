"""The task for Dramatiq."""

import dramatiq
from dramatiq.brokers.redis import RedisBroker
from task import REDIS_URL, run

dramatiq.set_broker(RedisBroker(url=REDIS_URL))
send = dramatiq.actor(run).send
