"""`python -m jobqueue`."""

import sys

from jobqueue.command_line.main import main

if __name__ == "__main__":
    sys.exit(main())
