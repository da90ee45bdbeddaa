"""The operators' routes: counts of jobs, and the active executors."""

from __future__ import annotations

from typing import Any

from jobqueue.web import representations
from jobqueue.web.openapi import JobQueueBlueprint
from jobqueue.web.schemas import answers
from jobqueue.web.services import services

blueprint = JobQueueBlueprint("admin", __name__, description="Counts of jobs, and the active executors.")


@blueprint.route("/admin/stats", methods=["GET"])
@blueprint.answers(200, answers.StatsOut())
@blueprint.refuses()
def stats() -> dict[str, Any]:
    """Count jobs and executors"""
    return representations.stats(services().queries.stats())


@blueprint.route("/admin/executors", methods=["GET"])
@blueprint.answers(200, answers.ExecutorOut(many=True))
@blueprint.refuses()
def executors() -> list[dict[str, Any]]:
    """List the active executors"""
    return [representations.executor(executor) for executor in services().queries.executors()]
