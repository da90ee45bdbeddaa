"""The task for Huey."""

from huey import RedisHuey
from task import REDIS_URL, run

huey = RedisHuey("benchmark", url=REDIS_URL)
send = huey.task()(run)
