"""The worker's front door: settings, parts, loop, exit code. `python worker.py`."""

from __future__ import annotations

import os
import sys

from jobqueue import logs
from jobqueue.client.claims import Claims
from jobqueue.client.transport import Transport
from jobqueue.settings import InvalidSetting
from jobqueue.worker import config
from jobqueue.worker.loop import Loop
from jobqueue.worker.process import adopt_orphans, kill_children
from jobqueue.worker.run import Runner
from jobqueue.worker.shutdown import Shutdown
from jobqueue.worker.slot import Slot


def main() -> int:
    """Work until SIGTERM or SIGINT; return the exit code."""
    logs.configure(sys.stderr)
    if sys.platform != "linux":
        sys.exit("The worker runs on Linux only; the API does not mind where it runs.")
    try:
        settings = config.load(os.environ)
    except InvalidSetting as error:
        sys.exit(str(error))
    shutdown = Shutdown()
    shutdown.listen()

    def connect() -> Claims:
        return Claims(Transport(settings.api_url), settings.executor_id)

    adopt_orphans()
    slot = Slot(on_death=kill_children)
    logs.logger().info("worker_started", executor_id=settings.executor_id, api_url=settings.api_url)
    Loop(connect(), Runner(connect, slot, shutdown, os.environ), shutdown).run()
    slot.close()
    logs.logger().info("worker_stopped", executor_id=settings.executor_id)
    return 0


if __name__ == "__main__":
    sys.exit(main())
