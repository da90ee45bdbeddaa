"""The task for Celery."""

from celery import Celery
from task import REDIS_URL, run

app = Celery("celery_app", broker=REDIS_URL)
run_program = app.task(name="run_program", ignore_result=True)(run)
send = run_program.delay
