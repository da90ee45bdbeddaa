"""The least that a Flask route must do to store a job: parse the JSON, one EVALSHA of the real script, answer.

It checks nothing, measures nothing and logs nothing. redis-py is used as it comes. `POST /jobs` of the API is compared
with it, under the same gunicorn: the same settings, worker class and number of processes.
"""

from __future__ import annotations

import json
import os
import uuid

import redis
from flask import Flask, Response, jsonify, request

from benchmarks.clients.requests import PREFIX, REFERENCE
from benchmarks.rig.calls import submit_call


def start() -> Flask:
    """Return the app."""
    app = Flask("ceiling", static_folder=None)
    client = redis.Redis.from_url(os.environ["REDIS_URL"], decode_responses=True)
    call = submit_call([REFERENCE])
    client.script_load(call.script.text)

    @app.get(f"{PREFIX}/health")
    def health() -> Response:
        return jsonify(status="healthy")

    @app.post(f"{PREFIX}/jobs")
    def submit() -> tuple[Response, int]:
        job = request.get_json()
        spec = {name: job[name] for name in ("binary_url", "binary_sha256", "arguments", "env_variables")}
        job_id = str(uuid.uuid4())
        created_at_ms = client.evalsha(*call.again(job_id, json.dumps(spec)))
        return jsonify(id=job_id, type=job["type"], status="pending", created_at=created_at_ms), 201

    return app
