"""The executors' routes: claim a job, keep its lease alive, report how it ended."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from flask import Response, jsonify, request

from jobqueue.job import Status
from jobqueue.queue.commands import Holder, Result
from jobqueue.web import answers, schemas
from jobqueue.web.api import JobQueueBlueprint
from jobqueue.web.representations import job_details
from jobqueue.web.services import services

blueprint = JobQueueBlueprint("claims", __name__, description="Claim jobs, keep their leases, report their results.")

Reported = tuple[dict[str, Any], int, dict[str, str]]


@blueprint.route("/jobs/claim", methods=["POST"])
@blueprint.arguments(schemas.ClaimIn())
@blueprint.answers(200, answers.ClaimedOut())
@blueprint.answers(204)
@blueprint.refuses(413, 415)
def claim(executor: dict[str, str | None]) -> Response:
    """Claim the next job"""
    executor_ip = executor["executor_ip"] or request.remote_addr
    claimed = services().commands.claim(str(executor["executor_id"]), executor_ip)
    if claimed is None:
        return Response(status=204)
    return jsonify({**job_details(claimed.job), "attempt_token": claimed.attempt_token, "lease_ms": claimed.lease_ms})


@blueprint.route("/jobs/<uuid:job_id>/heartbeat", methods=["PUT"])
@blueprint.arguments(schemas.HolderIn())
@blueprint.answers(200, answers.HeartbeatOut())
@blueprint.refuses(404, 413, 415)
def heartbeat(holder: Holder, job_id: UUID) -> dict[str, Any]:
    """Keep a running job's lease alive"""
    lease_ms = services().commands.heartbeat(str(job_id), holder)
    return {"id": str(job_id), "status": Status.RUNNING, "lease_ms": lease_ms}


@blueprint.route("/jobs/<uuid:job_id>/complete", methods=["PUT"])
@blueprint.arguments(schemas.CompleteIn())
@blueprint.answers(200, answers.JobStatusOut())
@blueprint.refuses(400, 404, 413, 415)
def complete(report: tuple[Holder, Result], job_id: UUID) -> Reported:
    """Report a job as completed"""
    repeated = services().commands.complete(str(job_id), *report)
    return _reported(job_id, Status.COMPLETED, repeated)


@blueprint.route("/jobs/<uuid:job_id>/fail", methods=["PUT"])
@blueprint.arguments(schemas.FailIn())
@blueprint.answers(200, answers.JobStatusOut())
@blueprint.refuses(400, 404, 413, 415)
def fail(report: tuple[Holder, Result], job_id: UUID) -> Reported:
    """Report a job as failed"""
    repeated = services().commands.fail(str(job_id), *report)
    return _reported(job_id, Status.FAILED, repeated)


def _reported(job_id: UUID, status: Status, repeated: bool) -> Reported:
    headers = {"Idempotent-Replay": "true"} if repeated else {}
    return {"id": str(job_id), "status": status}, 200, headers
