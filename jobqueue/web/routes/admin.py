"""The operators' routes: counts of jobs, the active executors, and who did what."""

from __future__ import annotations

from typing import Any

from flask import Response

from jobqueue.web import pages, representations
from jobqueue.web.access.needs import ADMIN, READ
from jobqueue.web.openapi import JobQueueBlueprint
from jobqueue.web.schemas import answers, executors
from jobqueue.web.services import services

blueprint = JobQueueBlueprint("admin", __name__, description="Counts of jobs, active executors, who did what.")

ENTRIES = pages.headers("How many entries are kept in all.")
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


@blueprint.route("/admin/activity", methods=["GET"], needs=ADMIN)
@blueprint.arguments(executors.ListActivityIn(), location="query")
@blueprint.answers(200, answers.ActivityOut(many=True), headers=ENTRIES)
@blueprint.refuses()
def list_activity(wanted: tuple[int, int | None]) -> Response:
    """List who did what, newest first"""
    page = services().queries.activity(*wanted)
    return pages.step([*map(representations.activity, page.entries)], page.total, wanted[0], page.next_cursor)
