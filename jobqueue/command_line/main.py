"""`python -m jobqueue COMMAND`: reads the arguments and runs a command."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from jobqueue import __version__
from jobqueue.command_line import keygen, sign, token

COMMANDS = (token, keygen, sign)
"""Each has a function `add`, which adds the command with a default `run`: that takes the arguments and returns the exit
code.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command that the arguments name, those of this process by default; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m jobqueue", description="Tools for operators of the job queue.")
    parser.add_argument("--version", action="version", version=f"jobqueue {__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for command in COMMANDS:
        command.add(commands)
    options = parser.parse_args(arguments)
    return int(options.run(options))
