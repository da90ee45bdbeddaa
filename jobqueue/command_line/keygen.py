"""`python -m jobqueue keygen FILE`: makes a key pair to sign jobs with."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from jobqueue.signing.keys import PrivateKey

EXPLANATION = """\
The private key is in {path}. Whoever has it can have programs run: keep it where jobs are signed, and nowhere else.
The line is the public key, for the workers: add it to TRUSTED_KEYS, or to the file that TRUSTED_KEYS names.
"""


def add(commands: Any) -> None:
    """Add the command to those of the parser."""
    parser = commands.add_parser(
        "keygen",
        help="make a key pair to sign jobs with",
        description="Makes a key pair to sign jobs with. Writes the private key to a new file, prints the public one.",
    )
    parser.add_argument("path", metavar="FILE", type=Path, help="the file for the private key, which must not exist")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Make the keys. What explains them goes to standard error, so that scripts can read the public key."""
    try:
        key = PrivateKey.create(options.path)
    except OSError as error:
        sys.exit(f"{options.path} cannot be made: {error.strerror}.")
    sys.stderr.write(EXPLANATION.format(path=options.path))
    sys.stderr.flush()
    sys.stdout.write(f"{key.public}\n")
    return 0
