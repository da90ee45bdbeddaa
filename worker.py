"""The worker in a checkout: `python worker.py --help`. The code is in `jobqueue/worker/main.py`."""

import sys

from jobqueue.worker.main import main

if __name__ == "__main__":
    sys.exit(main())
