"""The executors' routes: claim a job, keep its lease alive, report how it ended, or give it back."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from flask import Response, jsonify, request

from jobqueue.job import Reason, Status
from jobqueue.queue.commands import Claimed, Finished
from jobqueue.result import Holder, LiveOutput, Result
from jobqueue.web.openapi import JobQueueBlueprint
from jobqueue.web.representations import job_details
from jobqueue.web.schemas import answers, executors
from jobqueue.web.services import services

blueprint = JobQueueBlueprint("claims", __name__, description="Claim jobs, keep their leases, report their results.")

Reported = tuple[dict[str, Any], int, dict[str, str]]


@blueprint.route("/jobs/claim", methods=["POST"])
@blueprint.arguments(executors.ClaimIn())
@blueprint.answers(200, answers.ClaimedOut())
@blueprint.answers(204)
@blueprint.refuses(413, 415)
def claim(executor: dict[str, str | None]) -> Response:
    """Claim the next job"""
    executor_ip = executor["executor_ip"] or request.remote_addr
    claimed = services().commands.claim(str(executor["executor_id"]), executor_ip)
    if claimed is None:
        return Response(status=204)
    return jsonify(_claimed(claimed))


@blueprint.route("/jobs/<uuid:job_id>/heartbeat", methods=["PUT"])
@blueprint.arguments(executors.HeartbeatIn())
@blueprint.answers(200, answers.HeartbeatOut())
@blueprint.refuses(404, 413, 415)
def heartbeat(said: tuple[Holder, LiveOutput], job_id: UUID) -> dict[str, Any]:
    """Keep a running job's lease alive"""
    renewed = services().commands.heartbeat(str(job_id), *said)
    return {
        "id": str(job_id),
        "status": Status.RUNNING,
        "lease_ms": renewed.lease_ms,
        "cancel_requested": renewed.cancel_requested,
    }


@blueprint.route("/jobs/<uuid:job_id>/complete", methods=["PUT"])
@blueprint.arguments(executors.CompleteIn())
@blueprint.answers(200, answers.JobStatusOut())
@blueprint.refuses(400, 404, 413, 415)
def complete(report: tuple[Holder, Result], job_id: UUID) -> Reported:
    """Report a job as completed"""
    return _reported(job_id, services().commands.complete(str(job_id), *report))


@blueprint.route("/jobs/<uuid:job_id>/fail", methods=["PUT"])
@blueprint.arguments(executors.FailIn())
@blueprint.answers(200, answers.JobStatusOut())
@blueprint.refuses(400, 404, 413, 415)
def fail(report: tuple[Holder, Result], job_id: UUID) -> Reported:
    """Report a job as failed, or as stopped because it was asked to"""
    return _reported(job_id, services().commands.fail(str(job_id), *report))


@blueprint.route("/jobs/<uuid:job_id>/release", methods=["POST"])
@blueprint.arguments(executors.ReleaseIn())
@blueprint.answers(200, answers.JobStatusOut())
@blueprint.refuses(400, 404, 413, 415)
def release(said: tuple[Holder, Reason | None], job_id: UUID) -> dict[str, Any]:
    """Give a running job back to its place in the queue"""
    return {"id": str(job_id), "status": services().commands.release(str(job_id), *said)}


def _claimed(claimed: Claimed) -> dict[str, Any]:
    return {
        **job_details(claimed.job),
        "attempt_token": claimed.attempt_token,
        "attempt": claimed.attempt,
        "lease_ms": claimed.lease_ms,
    }


def _reported(job_id: UUID, finished: Finished) -> Reported:
    headers = {"Idempotent-Replay": "true"} if finished.replayed else {}
    return {"id": str(job_id), "status": finished.status}, 200, headers
