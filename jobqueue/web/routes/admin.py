"""The operators' routes: counts of jobs, and the active executors."""

from __future__ import annotations

from typing import Any

from flask import Response

from jobqueue.web import pages, representations
from jobqueue.web.access.needs import READ
from jobqueue.web.openapi import JobQueueBlueprint
from jobqueue.web.schemas import answers, executors
from jobqueue.web.services import services

blueprint = JobQueueBlueprint("admin", __name__, description="Counts of jobs, and the active executors.")

PAGING = pages.headers("How many executors are active in all.")


@blueprint.route("/admin/stats", methods=["GET"], needs=READ)
@blueprint.answers(200, answers.StatsOut())
@blueprint.refuses()
def stats() -> dict[str, Any]:
    """Count jobs and executors"""
    return representations.stats(services().queries.stats())


@blueprint.route("/admin/executors", methods=["GET"], needs=READ)
@blueprint.arguments(executors.ListExecutorsIn(), location="query")
@blueprint.answers(200, answers.ExecutorOut(many=True), headers=PAGING)
@blueprint.refuses()
def list_executors(wanted: tuple[int, int]) -> Response:
    """List the active executors, the one seen last first"""
    limit, offset = wanted
    page = services().queries.executors(limit, offset)
    return pages.answer([*map(representations.executor, page.executors)], page.total, limit, offset)
