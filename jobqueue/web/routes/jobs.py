"""The submitters' routes: submit, list, read and cancel jobs, and follow their output."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

from flask import Response, request

from jobqueue.job import NewJob, Status, Stream
from jobqueue.queue.queries import FINAL, Filter, Output
from jobqueue.queue.waiting.watches import ENDED, OUTPUT
from jobqueue.web import pages
from jobqueue.web.access.needs import READ, SUBMIT
from jobqueue.web.access.visibility import visible
from jobqueue.web.bodies import limits
from jobqueue.web.bodies.parser import calculate
from jobqueue.web.bodies.reader import large_bodies
from jobqueue.web.openapi import JobQueueBlueprint
from jobqueue.web.representations import job_details, job_summary, new_jobs, output, timestamp
from jobqueue.web.requests import binary_hosts, callers, idempotency, waits
from jobqueue.web.requests.who import who
from jobqueue.web.schemas import answers, submitters
from jobqueue.web.services import services

blueprint = JobQueueBlueprint("jobs", __name__, description="Submit, list, read and cancel jobs.")

LOCATION = {"Location": {"schema": {"type": "string"}, "description": "The job, relative to this URL."}}
"""As in `Link`, the reference is relative to the URL of the request (RFC 9110, RFC 8288). Only the client knows that
URL: a proxy may add TLS and replace any part of the path, and what it says about that in headers anybody else can say,
too.
"""
REPLAY = {"Idempotent-Replay": idempotency.REPLAY}
PAGING = pages.headers("How many jobs match in all.")
MANY_JOBS = 100
"""From how many jobs on a bulk is prepared outside of the event loop, and stored while no other one is."""

BULK = {"type": "array", "items": submitters.NewJobIn(), "minItems": 1, "maxItems": submitters.MAX_BULK}


@blueprint.route("/jobs", methods=["POST"], needs=SUBMIT)
@blueprint.arguments(submitters.NewJobIn(), limit=limits.JOB)
@blueprint.answers(201, answers.SubmittedOut(), headers=LOCATION | REPLAY)
@blueprint.refuses(422)
@blueprint.doc(parameters=[idempotency.PARAMETER])
def submit(job: NewJob) -> tuple[dict[str, Any], int, dict[str, str]]:
    """Submit a job"""
    binary_hosts.check_one(job, services().binary_hosts)
    submitted = services().commands.submit([job], idempotency.key("submit"), who())
    (job_id,) = submitted.job_ids
    body = {"id": job_id, "type": job.type, "status": Status.PENDING, "created_at": timestamp(submitted.created_at_ms)}
    return body, 201, {"Location": f"./jobs/{job_id}", **idempotency.replayed(submitted.replayed)}


@blueprint.route("/jobs/bulk", methods=["POST"], needs=SUBMIT)
@blueprint.arguments(submitters.BulkNewJobIn(many=True), limit=limits.JOBS)
@blueprint.answers(201, answers.JobStatusOut(many=True), headers=REPLAY)
@blueprint.refuses(422)
@blueprint.doc(requestBody={"content": {"application/json": {"schema": BULK}}}, parameters=[idempotency.PARAMETER])
def submit_many(jobs: list[NewJob]) -> Response:
    """Submit many jobs, all or nothing"""
    commands, key, hosts = services().commands, idempotency.key("submit_many"), services().binary_hosts
    are_many = len(jobs) >= MANY_JOBS
    calculate(are_many and bool(hosts), lambda: binary_hosts.check(jobs, hosts))
    submission = calculate(are_many, lambda: commands.prepare(jobs, key))
    with large_bodies().storing(callers.waiting(request.environ)) if are_many else nullcontext():
        submitted = commands.store(submission, who())
    headers = idempotency.replayed(submitted.replayed)
    return Response(new_jobs(submitted.job_ids), 201, headers, content_type="application/json")


@blueprint.route("/jobs", methods=["GET"], needs=READ)
@blueprint.arguments(submitters.ListIn(), location="query")
@blueprint.answers(200, answers.JobSummaryOut(many=True), headers=PAGING)
@blueprint.refuses()
def list_jobs(wanted: tuple[Filter, int, int, int | None]) -> Response:
    """List jobs, newest first"""
    matching, limit, offset, cursor = wanted
    page = services().queries.list(*wanted)
    filters = {"status": matching.status, "type": matching.type, "priority": matching.priority}
    entries = [*map(job_summary, page.jobs)]
    if cursor is None:
        return pages.answer(entries, page.total, limit, offset, **filters)
    return pages.step(entries, page.total, limit, page.next_cursor, **filters)


@blueprint.route("/jobs/<job_id:job_id>", methods=["GET"], needs=READ)
@blueprint.arguments(submitters.GetIn(), location="query")
@blueprint.answers(200, answers.JobOut())
@blueprint.refuses(404)
def get(wait_seconds: float, job_id: str) -> dict[str, Any]:
    """Read a job, at once or when it has ended"""
    queries = services().queries
    found = waits.read(job_id, wait_seconds, lambda: queries.get(job_id), lambda job: job.status in FINAL)
    return job_details(visible(found))


@blueprint.route("/jobs/<job_id:job_id>", methods=["DELETE"], needs=SUBMIT)
@blueprint.arguments(submitters.CancelIn(), location="query")
@blueprint.answers(200, answers.JobStatusOut())
@blueprint.answers(202, answers.CancelRequestedOut())
@blueprint.refuses(400, 404)
def cancel(force: bool, job_id: str) -> tuple[dict[str, Any], int]:
    """Cancel a pending job or, with force, ask a running one to stop"""
    status = services().commands.cancel(job_id, force, who())
    if status is Status.RUNNING:
        return {"id": job_id, "status": status, "cancel_requested": True}, 202
    return {"id": job_id, "status": status}, 200


@blueprint.route("/jobs/<job_id:job_id>/output", methods=["GET"], needs=READ)
@blueprint.arguments(submitters.OutputIn(), location="query")
@blueprint.answers(200, answers.OutputOut())
@blueprint.refuses(404)
def read_output(wanted: tuple[Stream, int, float], job_id: str) -> dict[str, Any]:
    """Read what a job's program has written, also while it runs"""
    stream, offset, wait_seconds = wanted
    queries = services().queries

    def is_enough(found: Output) -> bool:
        return found.ended or bool(found.part.data)

    found = waits.read(job_id, wait_seconds, lambda: queries.output(job_id, stream, offset), is_enough, (ENDED, OUTPUT))
    return output(job_id, stream, found)


@blueprint.route("/jobs/bulk/cancel", methods=["POST"], needs=SUBMIT)
@blueprint.arguments(submitters.BulkCancelIn(), limit=limits.JOB_IDS)
@blueprint.answers(200, answers.BulkCancelOut())
@blueprint.refuses()
def cancel_many(job_ids: list[str]) -> dict[str, Any]:
    """Cancel many pending jobs, each on its own"""
    errors = services().commands.cancel_many(job_ids, who())
    refused = [{"job_id": job_id, "error": str(error)} for job_id, error in zip(job_ids, errors, strict=True) if error]
    return {"cancelled": len(job_ids) - len(refused), "failed": len(refused), "errors": refused}
