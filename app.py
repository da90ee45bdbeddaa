"""The server in a checkout: `gunicorn app:app`. The code is in `jobqueue/web/app.py`."""

from jobqueue.web.app import start

app = start()
