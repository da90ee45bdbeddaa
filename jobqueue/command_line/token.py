"""`python -m jobqueue token NAME SCOPE…`: makes an API token, and prints it once."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from jobqueue.access.entries import entry_for
from jobqueue.access.scopes import Scope
from jobqueue.access.tokens import NAME_RULE, is_name, new_token

SCOPES = (
    "read: look at jobs, output, counts and executors; submit: read, and submit and cancel jobs; "
    "execute: claim jobs and report about them, which is all that a worker needs; admin: everything"
)
EXPLANATION = """\
The first line is the token. It is shown only now: give it to its user, who sends it as API_TOKEN.
The second line is for the server: add it to API_TOKENS, or to the file that API_TOKENS_FILE names.
"""


def add(commands: Any) -> None:
    """Add the command to those of the parser."""
    parser = commands.add_parser(
        "token",
        help="make an API token",
        description="Makes an API token. Prints the token, and the line that the server needs to know it.",
    )
    parser.add_argument("name", metavar="NAME", type=_name, help="who will use the token, such as ci or worker-pool")
    parser.add_argument("scopes", metavar="SCOPE", nargs="+", type=_scope, help=SCOPES)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Print a new token and its entry. What explains them goes to standard error, so that scripts can read both."""
    token = new_token(options.name)
    sys.stderr.write(EXPLANATION)
    sys.stderr.flush()
    sys.stdout.write(f"{token}\n{entry_for(options.name, options.scopes, token)}\n")
    return 0


def _name(text: str) -> str:
    if not is_name(text):
        raise argparse.ArgumentTypeError(f"{text!r} is no name for a token: {NAME_RULE}")
    return text


def _scope(text: str) -> Scope:
    try:
        return Scope(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no scope: the scopes are {', '.join(Scope)}") from None
