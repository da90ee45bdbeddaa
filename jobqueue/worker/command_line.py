"""The worker's command line: arguments, settings, the worker's life, exit code."""

from __future__ import annotations

import argparse
import os
import sys

from jobqueue import __version__, logs
from jobqueue.redaction import without_secrets
from jobqueue.settings import InvalidSetting
from jobqueue.worker import check, config, lifecycle
from jobqueue.worker.loop import ClaimPolicy
from jobqueue.worker.shutdown import Shutdown

API_UNAVAILABLE = 75
"""The exit code of `--burst` when the API is unavailable: EX_TEMPFAIL of <sysexits.h>, "try again later"."""


def run() -> int:
    """Work until SIGTERM, SIGINT or SIGHUP, or for as long as the arguments say; return the exit code."""
    options = _arguments().parse_args()
    logs.install()
    if sys.platform != "linux":
        sys.exit("The worker runs on Linux only. The API runs on macOS, too.")
    try:
        settings = config.load(os.environ)
        logs.choose(settings.log_format)
        if options.check:
            return check.report(settings, os.environ)
        shutdown = Shutdown()
        with lifecycle.enough_processes():
            shutdown.listen()
        policy = ClaimPolicy(1 if options.once else options.max_jobs, options.burst)
        lifecycle.run(settings, os.environ, shutdown, policy)
    except InvalidSetting as error:
        sys.exit(str(error))
    except lifecycle.GaveUp:
        sys.stderr.write(f"The API at {without_secrets(settings.api_url)} has not answered for a minute.\n")
        return API_UNAVAILABLE
    return 0


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description="Claims jobs, runs their programs and reports how they ended. All settings are environment "
        "variables. --check reports what is wrong with them; the project's README links to their documentation."
    )
    how_many = parser.add_mutually_exclusive_group()
    how_many.add_argument("--once", action="store_true", help="run one job, then exit; the same as --max-jobs 1")
    how_many.add_argument("--max-jobs", type=_positive, metavar="N", help="run N jobs, then exit")
    parser.add_argument("--burst", action="store_true", help="exit when no job is pending or the API is unavailable")
    parser.add_argument("--version", action="version", version=f"jobqueue-worker {__version__}")
    parser.add_argument(
        "--check", action="store_true", help="report what this host supports and what is wrong; run no job"
    )
    return parser


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 on")
    return int(text)
