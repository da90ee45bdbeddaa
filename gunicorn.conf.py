"""gunicorn reads its settings here when it is started in a checkout. They are in `jobqueue/web/server/`."""

import os

from jobqueue.web.server import settings

globals().update(settings(os.environ))
