"""What runs inside the environments of the peers: nothing here imports this project.

task: what a job does, the same for all of them written in Python.
sender: submits jobs to those.
celery_app, dramatiq_app, rq_app, huey_app: the task as each of them wants it declared.
hyperqueue_sender: HyperQueue, which starts programs by itself.
bullmq_worker.js, bullmq_sender.js: the same for BullMQ.
"""
