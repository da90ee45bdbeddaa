"""The executors' routes: claim a job, renew its lease, report how it ended, or release it."""

from __future__ import annotations

from typing import Any

from flask import Response, jsonify, request

from jobqueue.job import Reason, Status
from jobqueue.queue.claims import Finished
from jobqueue.result import Holder, LiveOutput, Result
from jobqueue.web import callers
from jobqueue.web.bodies import limits
from jobqueue.web.openapi import JobQueueBlueprint
from jobqueue.web.representations import job_details
from jobqueue.web.schemas import answers, executors
from jobqueue.web.services import services

blueprint = JobQueueBlueprint("claims", __name__, description="Claim jobs, renew their leases, report their results.")

FinishedAnswer = tuple[dict[str, Any], int, dict[str, str]]


@blueprint.route("/jobs/claim", methods=["POST"])
@blueprint.arguments(executors.ClaimIn())
@blueprint.answers(200, answers.ClaimedOut())
@blueprint.answers(204)
@blueprint.refuses()
def claim(executor: tuple[str, str | None]) -> Response:
    """Claim the next job"""
    executor_id, executor_ip = executor
    # Of all routes only this one harms if it acts for nobody: the job would wait for the end of a lease that nobody
    # holds, and lose an attempt. A report, a heartbeat or a cancel means the same whether its answer is read or not,
    # and a client may submit a job without waiting for the answer.
    if not callers.is_waiting(request.environ):
        return Response(status=204)
    claimed = services().claims.claim(executor_id, executor_ip or request.remote_addr)
    if claimed is None:
        return Response(status=204)
    attempt = {"attempt_token": claimed.attempt_token, "attempt": claimed.attempt, "lease_ms": claimed.lease_ms}
    return jsonify(job_details(claimed.job) | attempt)


@blueprint.route("/jobs/<job_id:job_id>/heartbeat", methods=["PUT"])
@blueprint.arguments(executors.HeartbeatIn(), limit=limits.REPORT)
@blueprint.answers(200, answers.HeartbeatOut())
@blueprint.refuses(404)
def heartbeat(report: tuple[Holder, LiveOutput], job_id: str) -> dict[str, Any]:
    """Renew the lease of a running job"""
    renewed = services().claims.heartbeat(job_id, *report)
    lease = {"lease_ms": renewed.lease_ms, "cancel_requested": renewed.cancel_requested}
    return {"id": job_id, "status": Status.RUNNING, **lease}


@blueprint.route("/jobs/<job_id:job_id>/complete", methods=["PUT"])
@blueprint.arguments(executors.CompleteIn(), limit=limits.REPORT)
@blueprint.answers(200, answers.JobStatusOut())
@blueprint.refuses(400, 404)
def complete(report: tuple[Holder, Result], job_id: str) -> FinishedAnswer:
    """Report a job as completed"""
    return _finished(job_id, services().claims.complete(job_id, *report))


@blueprint.route("/jobs/<job_id:job_id>/fail", methods=["PUT"])
@blueprint.arguments(executors.FailIn(), limit=limits.REPORT)
@blueprint.answers(200, answers.JobStatusOut())
@blueprint.refuses(400, 404)
def fail(report: tuple[Holder, Result], job_id: str) -> FinishedAnswer:
    """Report a job as failed, or as stopped by a cancel"""
    return _finished(job_id, services().claims.fail(job_id, *report))


@blueprint.route("/jobs/<job_id:job_id>/release", methods=["POST"])
@blueprint.arguments(executors.ReleaseIn())
@blueprint.answers(200, answers.JobStatusOut())
@blueprint.refuses(400, 404)
def release(report: tuple[Holder, Reason | None, str], job_id: str) -> dict[str, Any]:
    """Release a running job to its old place in the queue; after a host fault, with a delay"""
    return {"id": job_id, "status": services().claims.release(job_id, *report)}


def _finished(job_id: str, finished: Finished) -> FinishedAnswer:
    headers = {"Idempotent-Replay": "true"} if finished.replayed else {}
    return {"id": job_id, "status": finished.status}, 200, headers
