"""Whoever has stolen an API token submits jobs to a worker that trusts a key: nothing runs but what was signed."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.support.deployment import Deployment, deployed, running_host
from tests.support.paths import ROOT
from tests.support.programs import SHELL
from tests.support.serving import standing_api


@contextmanager
def deployment() -> Iterator[Deployment]:
    with (
        tempfile.TemporaryDirectory(prefix="jq-") as folder,
        standing_api(WEB_CONCURRENCY="1") as api,
        running_host() as (host, programs),
        deployed(api, host, programs, Path(folder)) as everything,
    ):
        yield everything


def jobqueue(*arguments: object, text: str = "") -> str:
    """Run `python -m jobqueue` with these arguments; return what it prints."""
    command = [sys.executable, "-m", "jobqueue", *map(str, arguments)]
    return subprocess.run(command, input=text, cwd=ROOT, capture_output=True, text=True, check=True).stdout


def stolen(signed: dict[str, Any], other: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return jobs as a thief makes them of a signed one, and of another that was signed by a key of the thief's."""
    variables = {**signed["env_variables"], "LD_PRELOAD": "/tmp/evil.so"}
    unsigned = {name: value for name, value in signed.items() if name != "signature"}
    evil = {name: other[name] for name in ("binary_url", "binary_sha256")}
    return {
        "unsigned": unsigned,
        "another program": {**signed, **evil},
        "another URL": {**signed, "binary_url": signed["binary_url"] + "#busybox"},
        "another argument": {**signed, "arguments": ["evil"]},
        "one more argument": {**signed, "arguments": [*signed["arguments"], "evil"]},
        "one more variable": {**signed, "env_variables": variables},
        "another type": {**signed, "type": "other"},
        "a time limit": {**signed, "timeout_seconds": 0.001},
        "the thief's key": other,
        "the thief's key under the name of ours": {
            **other,
            "signature": {
                **other["signature"],
                "signatures": [
                    {**other["signature"]["signatures"][0], "keyid": signed["signature"]["signatures"][0]["keyid"]}
                ],
            },
        },
        "our signature on another payload": {
            **other,
            "signature": {**other["signature"], "signatures": signed["signature"]["signatures"]},
        },
    }


def test_a_stolen_api_token_runs_only_what_was_signed() -> None:
    with deployment() as everything:
        folder = everything.folder
        ours, thief = (jobqueue("keygen", folder / name).strip() for name in ("ours", "thief"))
        assert ours != thief
        job = everything.job(SHELL + 'echo "ran $1 $NAME"', "good", environment={"NAME": "signed"})
        evil = everything.job(SHELL + "echo ran evil")
        signed = json.loads(jobqueue("sign", "--key", folder / "ours", text=json.dumps(job)))
        other = json.loads(jobqueue("sign", "--key", folder / "thief", text=json.dumps(evil)))
        submitted = {name: everything.jobs.submit(made) for name, made in stolen(signed, other).items()}
        everything.worker(TRUSTED_KEYS=ours, SLOTS="2")
        blocked = {name: everything.wait_for(job_id, "completed", "failed") for name, job_id in submitted.items()}
        assert {name: ended["reason"] for name, ended in blocked.items()} == dict.fromkeys(
            submitted, "blocked_by_policy"
        )
        assert {ended["program_started_at"] for ended in blocked.values()} == {None}
        assert everything.host.requests == []
        for _ in range(2):  # a signed job can be submitted again until its time is over, as the documentation says
            ended = everything.wait_for(everything.jobs.submit(signed), "completed", "failed")
            assert (ended["status"], ended["stdout"]) == ("completed", "ran good signed\n"), ended
        assert len({request.path for request in everything.host.requests}) == 1
