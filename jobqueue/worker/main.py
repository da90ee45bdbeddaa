"""The worker's entry point. `jobqueue-worker` and `worker.py` run `main`."""

from __future__ import annotations

import sys

from jobqueue.worker.host import hardening, inheritance


def main() -> int:
    """Run the worker's command line; return the exit code."""
    # Before the rest of the worker is imported, which takes most of a second. Meanwhile a job of another worker of this
    # user could read the environment.
    if sys.platform == "linux":
        hardening.close_memory()
        inheritance.open_standard_files()
        inheritance.restore_signals()
    from jobqueue.worker import command_line  # noqa: PLC0415  # see above

    return command_line.run()


if __name__ == "__main__":
    sys.exit(main())
