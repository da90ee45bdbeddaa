"""Makes the app of one server process: settings in, app out."""

from __future__ import annotations

import os
import sys

from flask import Flask

from jobqueue import logs
from jobqueue.settings import InvalidSetting
from jobqueue.web import background, config
from jobqueue.web.bodies.memory import return_large_blocks
from jobqueue.web.bodies.threads import take_short_turns
from jobqueue.web.factory import create_app, create_services
from jobqueue.web.perimeter.rules import configured


def start() -> Flask:
    """Return the app of this process, with its threads running. A wrong setting ends the process with a sentence."""
    logs.install()
    try:
        settings = config.load(os.environ)
        services = create_services(settings)
    except InvalidSetting as error:
        sys.exit(str(error))
    logs.choose(settings.log_format)
    return_large_blocks()
    take_short_turns()
    background.start(services, settings.policy)
    return create_app(services, configured(settings, os.environ))
