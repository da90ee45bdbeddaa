"""The command `jobqueue-server`."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence

from gunicorn.app.wsgiapp import WSGIApplication

from jobqueue.web.server import main
from jobqueue.web.server.gunicorn_settings import settings

APP = "jobqueue.web.app:start()"
"""A name and not an import: the modules of the app must not be imported before the server process has patched the
standard library.
"""


class Server(WSGIApplication):
    """gunicorn with these settings and this app. Its options and a gunicorn.conf.py in the current directory win."""

    def init(self, parser: argparse.ArgumentParser, options: argparse.Namespace, _: Sequence[str]) -> dict[str, object]:
        """Choose the app and return the settings."""
        super().init(parser, options, [APP])
        return settings(os.environ)


if __name__ == "__main__":
    main()
