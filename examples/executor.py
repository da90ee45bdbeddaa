"""An executor on one page, with nothing but Python's standard library. docs/api.md explains every step.

    python3 examples/executor.py http://localhost:8080/api/v1

It runs one program at a time, in no sandbox, as the user who starts it. `worker.py` is the one for real work.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
import uuid
from pathlib import Path
from typing import Any

EXECUTOR_ID = f"example-{uuid.uuid4()}"
HEADERS = {"Content-Type": "application/json"}
if "API_TOKEN" in os.environ:
    HEADERS["Authorization"] = f"Bearer {os.environ['API_TOKEN']}"


def ask(api: str, method: str, path: str, body: dict[str, Any], tries: int = 1_000_000) -> tuple[int, Any]:
    """Send a request until it is answered for good. Return the status and the body, (0, None) after that many tries."""
    data = json.dumps({"executor_id": EXECUTOR_ID, **body}).encode()
    request = urllib.request.Request(api + path, data, HEADERS, method=method)  # noqa: S310  # the operator's URL
    for number in range(tries):
        time.sleep(min(number, 1))
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310  # as above
                content = answer.read()
            time.sleep(float(answer.headers.get("Retry-After", 0)))  # a server that gives way says for how long
            return answer.status, json.loads(content or "null")
        except urllib.error.HTTPError as error:
            if error.code < 500 and error.code not in (408, 425, 429):
                return error.code, json.load(error)
            time.sleep(float(error.headers.get("Retry-After", 0)))
        except OSError:  # no connection, or no answer in time
            pass
    return 0, None


def run(api: str, job: dict[str, Any], directory: str) -> tuple[str, str, dict[str, Any]]:
    """Run the program of a job. Return how to report it: the method, the last word of the path, and the fields."""
    program = Path(directory, "program")
    try:
        with urllib.request.urlopen(job["binary_url"], timeout=30) as download:  # noqa: S310  # what executors do
            program.write_bytes(download.read())
    except OSError as error:  # perhaps another executor can reach it
        return "POST", "release", {"reason": "download_failed", "error_message": str(error)}
    if hashlib.sha256(program.read_bytes()).hexdigest() != job["binary_sha256"]:
        return "PUT", "fail", {"exit_code": None, "reason": "checksum_mismatch", "error_message": "another SHA-256"}
    program.chmod(0o700)
    command, variables = [str(program), *job["arguments"]], {"PATH": os.environ["PATH"], **job["env_variables"]}
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    try:
        started = subprocess.Popen(command, cwd=directory, env=variables, start_new_session=True, **pipes)
    except OSError as error:
        return "POST", "release", {"reason": "exec_failed", "error_message": str(error)}
    reason = renew_until_ended(api, job, started)
    stdout, stderr = started.communicate()
    code = started.returncode if started.returncode >= 0 else 128 - started.returncode
    outputs = {"stdout": stdout.decode(errors="replace"), "stderr": stderr.decode(errors="replace")}
    verb = "complete" if code == 0 and reason is None else "fail"
    return "PUT", verb, {"exit_code": code, "reason": reason, **outputs}


def renew_until_ended(api: str, job: dict[str, Any], started: subprocess.Popen[bytes]) -> str | None:
    """Renew the lease of a job until its program ends. Return why it was killed, None if it was not."""
    lease = job["lease_ms"] / 1000
    begun_at = renewed_at = time.monotonic()
    limit = job["timeout_seconds"] or float("inf")
    reason = None
    while True:
        left = lease if reason else max(begun_at + limit - time.monotonic(), 0)
        try:
            started.communicate(timeout=min(lease / 3, left))
            return reason
        except subprocess.TimeoutExpired:
            status, answer = ask(api, "PUT", f"/jobs/{job['id']}/heartbeat", token_of(job), tries=1)
        now = time.monotonic()
        if status == 200:
            renewed_at = now
            reason = "cancelled" if answer["cancel_requested"] else reason
        if now - begun_at >= limit:
            reason = "timeout"
        if reason or status == 404 or now - renewed_at > 0.8 * lease:
            os.killpg(started.pid, signal.SIGKILL)


def token_of(job: dict[str, Any]) -> dict[str, Any]:
    """Return what tells this attempt from others."""
    return {"attempt_token": job["attempt_token"]}


def main(api: str) -> None:
    """Claim and run one job after another, until Ctrl-C."""
    while True:
        # A claim that has an id can be repeated: if its answer gets lost, the next one brings the same job.
        wanted = {"claim_id": str(uuid.uuid4()), "wait_seconds": 25}
        status, job = ask(api, "POST", "/jobs/claim", wanted)
        if status == 204:
            continue
        if status != 200:
            sys.exit(f"The API refuses the claim: {job['error']}")
        with tempfile.TemporaryDirectory() as directory:
            method, verb, fields = run(api, job, directory)
        status, answer = ask(api, method, f"/jobs/{job['id']}/{verb}", {**token_of(job), **fields})
        print(job["id"], answer["status"] if status == 200 else answer["error"], flush=True)


if __name__ == "__main__":
    main(sys.argv[1].rstrip("/"))
