"""The executors' routes: claim a job, renew its lease, report how it ended, or release it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from flask import Response, jsonify, request

from jobqueue.job import Reason, Status
from jobqueue.queue.claims import Beat, ClaimRequest
from jobqueue.queue.records.claimed import ClaimedJobs
from jobqueue.queue.records.reports import Finished
from jobqueue.result import Holder, LiveOutput, Result
from jobqueue.web.access.attempts import own, own_claim, own_reports, owner
from jobqueue.web.access.needs import EXECUTE
from jobqueue.web.bodies import limits
from jobqueue.web.errors import retry_after
from jobqueue.web.openapi import JobQueueBlueprint
from jobqueue.web.representations import beat_answer, claimed_job, report_answer
from jobqueue.web.requests import callers, waits
from jobqueue.web.schemas import answers, batches, executors
from jobqueue.web.schemas.executors import Wanted
from jobqueue.web.services import services

blueprint = JobQueueBlueprint("claims", __name__, description="Claim jobs, renew their leases, report their results.")

FinishedAnswer = tuple[dict[str, Any], int, dict[str, str]]


@blueprint.route("/jobs/claim", methods=["POST"], needs=EXECUTE)
@blueprint.arguments(executors.ClaimIn())
@blueprint.answers(200, {"oneOf": [answers.ClaimedOut(), answers.ClaimedJobsOut()]}, headers=waits.WAITED)
@blueprint.answers(204, headers=waits.RETRY_AFTER)
@blueprint.refuses()
def claim(wanted: Wanted) -> Response:
    """Claim the next job, or up to so many"""
    # Of all routes only this one harms if it acts for nobody: the job would wait for the end of a lease that nobody
    # holds, and lose an attempt. A report, a heartbeat or a cancel means the same whether its answer is read or not,
    # and a client may submit a job without waiting for the answer.
    if not callers.is_waiting(request.environ, wanted.wait_seconds):
        return Response(status=204)
    claimed, headers = waits.claim(complete_claim(wanted.request), wanted.wait_seconds)
    headers |= _replay(claimed.replayed)
    if not claimed.jobs:
        return Response(status=204, headers=headers)
    jobs = [claimed_job(each) for each in claimed.jobs]
    response = jsonify({"jobs": jobs} if wanted.many else jobs[0])
    response.headers.update(headers)
    return response


@blueprint.route("/jobs/bulk/heartbeat", methods=["POST"], needs=EXECUTE)
@blueprint.arguments(batches.HeartbeatManyIn(), limit=limits.BEATS)
@blueprint.answers(200, answers.HeartbeatManyOut())
@blueprint.refuses()
def heartbeat_many(sent: tuple[str, list[Beat]]) -> dict[str, Any]:
    """Renew the leases of all jobs of an executor"""
    executor_id, beats = sent
    claims = services().claims
    renewed = claims.heartbeat_many(executor_id, beats, owner())
    jobs = [beat_answer(beat.job_id, each) for beat, each in zip(beats, renewed, strict=True)]
    return {"lease_ms": claims.lease_ms, "drain": False, "jobs": jobs}


@blueprint.route("/jobs/bulk/finish", methods=["POST"], needs=EXECUTE)
@blueprint.arguments(batches.FinishManyIn(), limit=limits.REPORTS)
@blueprint.answers(200, answers.FinishManyOut(), headers=waits.WAITED)
@blueprint.refuses()
def finish_many(sent: batches.FinishMany) -> FinishedAnswer:
    """Report the ends of several attempts and, if wanted, claim the next jobs"""
    wanted = sent.wanted
    # Reports are stored whether anybody reads the answer or not; jobs are only claimed for somebody.
    claims = wanted is not None and callers.is_waiting(request.environ, wanted.wait_seconds)
    request_for_more = complete_claim(wanted.request) if wanted and claims else None
    finished = services().claims.finish_many(own_reports(sent.reports), request_for_more)
    results = [report_answer(report.job_id, each) for report, each in zip(sent.reports, finished.results, strict=True)]
    if wanted is None:
        return {"results": results}, 200, {}
    if finished.refusal:
        # The reports are stored, and whoever sent them must learn that. Why there are no jobs, the next claim says.
        return {"results": results, "jobs": []}, 200, retry_after(finished.refusal)
    claimed, headers = finished.claimed or ClaimedJobs([], replayed=False), dict[str, str]()
    if claims and not claimed.jobs and not claimed.replayed and wanted.wait_seconds:
        claimed, headers = waits.claim(complete_claim(wanted.request), wanted.wait_seconds)
    return {"results": results, "jobs": [*map(claimed_job, claimed.jobs)]}, 200, headers | _replay(claimed.replayed)


def complete_claim(claim: ClaimRequest) -> ClaimRequest:
    """Return a claim of the caller with the address of its executor: the one that it sent, or the one that the request
    came from.
    """
    claim = own_claim(claim)
    return claim if claim.executor_ip else replace(claim, executor_ip=request.remote_addr)


@blueprint.route("/jobs/<job_id:job_id>/heartbeat", methods=["PUT"], needs=EXECUTE)
@blueprint.arguments(executors.HeartbeatIn(), limit=limits.REPORT)
@blueprint.answers(200, answers.HeartbeatOut())
@blueprint.refuses(404)
def heartbeat(report: tuple[Holder, LiveOutput], job_id: str) -> dict[str, Any]:
    """Renew the lease of a running job"""
    holder, output = report
    renewed = services().claims.heartbeat(job_id, own(holder), output)
    lease = {"lease_ms": renewed.lease_ms, "cancel_requested": renewed.cancel_requested}
    return {"id": job_id, "status": Status.RUNNING, **lease}


@blueprint.route("/jobs/<job_id:job_id>/complete", methods=["PUT"], needs=EXECUTE)
@blueprint.arguments(executors.CompleteIn(), limit=limits.REPORT)
@blueprint.answers(200, answers.JobStatusOut())
@blueprint.refuses(400, 404)
def complete(report: tuple[Holder, Result], job_id: str) -> FinishedAnswer:
    """Report a job as completed"""
    holder, result = report
    return _finished(job_id, services().claims.complete(job_id, own(holder), result))


@blueprint.route("/jobs/<job_id:job_id>/fail", methods=["PUT"], needs=EXECUTE)
@blueprint.arguments(executors.FailIn(), limit=limits.REPORT)
@blueprint.answers(200, answers.JobStatusOut())
@blueprint.refuses(400, 404)
def fail(report: tuple[Holder, Result], job_id: str) -> FinishedAnswer:
    """Report a job as failed, or as stopped by a cancel"""
    holder, result = report
    return _finished(job_id, services().claims.fail(job_id, own(holder), result))


@blueprint.route("/jobs/<job_id:job_id>/release", methods=["POST"], needs=EXECUTE)
@blueprint.arguments(executors.ReleaseIn())
@blueprint.answers(200, answers.JobStatusOut())
@blueprint.refuses(400, 404)
def release(report: tuple[Holder, Reason | None, str], job_id: str) -> dict[str, Any]:
    """Release a running job to its old place in the queue; after a host fault, with a delay"""
    holder, reason, error_message = report
    return {"id": job_id, "status": services().claims.release(job_id, own(holder), reason, error_message)}


def _finished(job_id: str, finished: Finished) -> FinishedAnswer:
    return {"id": job_id, "status": finished.status}, 200, _replay(finished.replayed)


def _replay(is_replay: bool) -> dict[str, str]:
    return {"Idempotent-Replay": "true"} if is_replay else {}
