"""`make demo`, beside a running `make run`: serves a small program, submits it, follows the job, prints its output."""

from __future__ import annotations

import hashlib
import os
import sys
import threading
import time
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from jobqueue.client import token as tokens
from jobqueue.client.jobs import Jobs
from jobqueue.client.token import Token
from jobqueue.client.transport import ApiRefused, ApiUnavailable, TokenRefused, Transport
from jobqueue.redaction import without_secrets
from jobqueue.settings import InvalidSetting

PROGRAM = b"""#!/bin/sh
echo "Hello, $NAME! I was called with: $*"
for step in 1 2 3; do echo "step $step"; sleep 0.3; done
echo "This is standard error." >&2
"""
TIME_LIMIT_SECONDS = 60
POLL_SECONDS = 0.1


class Handler(BaseHTTPRequestHandler):
    """Answers every request with the program."""

    def do_GET(self) -> None:
        """Send the program."""
        self.send_response(200)
        self.send_header("Content-Length", str(len(PROGRAM)))
        self.end_headers()
        self.wfile.write(PROGRAM)

    def log_message(self, *_: object) -> None:
        """Print nothing: the demo prints what the job does."""


def follow(jobs: Jobs, job_id: str) -> dict[str, object]:
    """Print each status that the job takes until it has ended; return the job."""
    status = None
    deadline = time.monotonic() + TIME_LIMIT_SECONDS
    while time.monotonic() < deadline:
        job = jobs.get(job_id)
        if job["status"] != status:
            status = job["status"]
            print(f"{job_id} is {status}" + (f" on {job['executor_id']}" if job["executor_id"] else ""), flush=True)
        if status in ("completed", "failed", "cancelled"):
            return job
        time.sleep(POLL_SECONDS)
    sys.exit(f"The job has not ended after {TIME_LIMIT_SECONDS} seconds. Is a worker running?")


def demo(api_url: str, token: Token) -> int:
    """Run the program through the queue; return 0 if it completed, else 1. Raises ApiUnavailable and ApiRefused."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    jobs = Jobs(Transport(api_url, token=token))
    job_id = jobs.submit(
        {
            "type": "demo",
            "binary_url": f"http://127.0.0.1:{server.server_port}/demo.sh",
            "binary_sha256": hashlib.sha256(PROGRAM).hexdigest(),
            "arguments": ["one", "two words"],
            "env_variables": {"NAME": "world"},
            "priority": "foreground",
        }
    )
    job = follow(jobs, job_id)
    print(f"--- stdout\n{job['stdout']}--- stderr\n{job['stderr']}--- exit code {job['exit_code']}")
    if job["error_message"]:
        print(job["error_message"])
    return 0 if job["status"] == "completed" else 1


def main() -> int:
    """Run the demo at API_URL, or at the PORT (8080) of this machine, with API_TOKEN or API_TOKEN_FILE if set."""
    api_url = os.environ.get("API_URL") or f"http://127.0.0.1:{os.environ.get('PORT') or 8080}/api/v1"
    shown = without_secrets(api_url)
    try:
        return demo(api_url, tokens.load(os.environ, api_url))
    except InvalidSetting as error:
        sys.exit(str(error))
    except TokenRefused as refused:
        sys.exit(str(refused))
    except ApiUnavailable as error:
        sys.exit(f"{shown} is not available: {error}. Is make run running in another terminal?")
    except ApiRefused as refused:
        if refused.status == HTTPStatus.NOT_FOUND:
            sys.exit(f"{shown} is not the API of a job queue (does the URL end in /api/v1?)")
        sys.exit(f"{shown} refused the job: {refused} {refused.context}")


if __name__ == "__main__":
    sys.exit(main())
