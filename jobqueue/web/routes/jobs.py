"""The submitters' routes: submit, list, look at and cancel jobs."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from flask import Response, jsonify, url_for

from jobqueue.job import NewJob, Priority, Status, Stream
from jobqueue.queue.queries import Filter
from jobqueue.web.openapi import JobQueueBlueprint
from jobqueue.web.representations import job_details, job_summary, output, timestamp
from jobqueue.web.schemas import answers, submitters
from jobqueue.web.services import services

blueprint = JobQueueBlueprint("jobs", __name__, description="Submit, list, look at and cancel jobs.")

LOCATION = {"Location": {"schema": {"type": "string"}, "description": "Where the job can be looked at."}}
PAGING = {
    "X-Total-Count": {"schema": {"type": "integer"}, "description": "How many jobs match in all."},
    "Link": {"schema": {"type": "string"}, "description": 'The next page, as rel="next", when there is one.'},
}
BULK = {"type": "array", "items": submitters.NewJobIn(), "minItems": 1, "maxItems": submitters.MAX_BULK}


@blueprint.route("/jobs", methods=["POST"])
@blueprint.arguments(submitters.NewJobIn())
@blueprint.answers(201, answers.SubmittedOut(), headers=LOCATION)
@blueprint.refuses(413, 415)
def submit(job: NewJob) -> tuple[dict[str, Any], int, dict[str, str]]:
    """Submit a job"""
    submitted = services().commands.submit([job])
    (job_id,) = submitted.job_ids
    created_at = timestamp(submitted.created_at_ms)
    body = {"id": job_id, "type": job.type, "status": Status.PENDING, "created_at": created_at}
    return body, 201, {"Location": url_for("jobs.get", job_id=job_id)}


@blueprint.route("/jobs/bulk", methods=["POST"])
@blueprint.arguments(submitters.BulkNewJobIn(many=True))
@blueprint.answers(201, answers.JobStatusOut(many=True))
@blueprint.refuses(413, 415)
@blueprint.doc(requestBody={"content": {"application/json": {"schema": BULK}}})
def submit_many(jobs: list[NewJob]) -> tuple[list[dict[str, Any]], int]:
    """Submit many jobs, all or nothing"""
    submitted = services().commands.submit(jobs)
    return [{"id": job_id, "status": Status.PENDING} for job_id in submitted.job_ids], 201


@blueprint.route("/jobs", methods=["GET"])
@blueprint.arguments(submitters.ListIn(), location="query")
@blueprint.answers(200, answers.JobSummaryOut(many=True), headers=PAGING)
@blueprint.refuses()
def list_jobs(query: dict[str, Any]) -> Response:
    """List jobs, newest first"""
    limit, offset = query["limit"], query["offset"]
    wanted = Filter(
        status=Status(query["status"]) if query["status"] else None,
        priority=Priority(query["priority"]) if query["priority"] else None,
        type=query["type"],
    )
    page = services().queries.list(wanted, limit, offset)
    response = jsonify([job_summary(job) for job in page.jobs])
    response.headers["X-Total-Count"] = str(page.total)
    if offset + limit < page.total:
        following = {**query, "offset": offset + limit}
        response.headers["Link"] = f'<{url_for("jobs.list_jobs", _external=True, **following)}>; rel="next"'
    return response


@blueprint.route("/jobs/<uuid:job_id>", methods=["GET"])
@blueprint.answers(200, answers.JobOut())
@blueprint.refuses(404)
def get(job_id: UUID) -> dict[str, Any]:
    """Look at a job"""
    return job_details(services().queries.get(str(job_id)))


@blueprint.route("/jobs/<uuid:job_id>", methods=["DELETE"])
@blueprint.arguments(submitters.CancelIn(), location="query")
@blueprint.answers(200, answers.JobStatusOut())
@blueprint.answers(202, answers.CancelRequestedOut())
@blueprint.refuses(400, 404)
def cancel(query: dict[str, bool], job_id: UUID) -> tuple[dict[str, Any], int]:
    """Cancel a pending job, or, with force, stop a running one"""
    status = services().commands.cancel(str(job_id), query["force"])
    if status is Status.RUNNING:
        return {"id": str(job_id), "status": status, "cancel_requested": True}, 202
    return {"id": str(job_id), "status": status}, 200


@blueprint.route("/jobs/<uuid:job_id>/output", methods=["GET"])
@blueprint.arguments(submitters.OutputIn(), location="query")
@blueprint.answers(200, answers.OutputOut())
@blueprint.refuses(404)
def read_output(query: dict[str, Any], job_id: UUID) -> dict[str, Any]:
    """Read what a job's program has written, also while it runs"""
    stream = Stream(query["stream"])
    return output(str(job_id), stream, services().queries.output(str(job_id), stream, query["offset"]))


@blueprint.route("/jobs/bulk/cancel", methods=["POST"])
@blueprint.arguments(submitters.BulkCancelIn())
@blueprint.answers(200, answers.BulkCancelOut())
@blueprint.refuses(413, 415)
def cancel_many(body: dict[str, list[str]]) -> dict[str, Any]:
    """Cancel many pending jobs, each on its own"""
    job_ids = [job_id.lower() for job_id in body["job_ids"]]
    errors = services().commands.cancel_many(job_ids)
    refused = [{"job_id": job_id, "error": str(error)} for job_id, error in zip(job_ids, errors, strict=True) if error]
    return {"cancelled": len(job_ids) - len(refused), "failed": len(refused), "errors": refused}
