"""The operators' probes: the health check, and metrics in Prometheus's text format."""

from __future__ import annotations

from flask import Response

from jobqueue.errors import StoreUnavailable
from jobqueue.web.metrics.http import CONTENT_TYPE, exposition
from jobqueue.web.openapi import JobQueueBlueprint
from jobqueue.web.schemas import answers
from jobqueue.web.services import services

blueprint = JobQueueBlueprint("health", __name__, description="Probes.")


@blueprint.route("/health", methods=["GET"])
@blueprint.answers(200, answers.HealthOut())
@blueprint.answers(503, answers.HealthOut())
def health() -> tuple[dict[str, str], int]:
    """Check the server and its database"""
    try:
        services().connection.ping()
    except StoreUnavailable:
        return {"status": "unhealthy", "database": "disconnected"}, 503
    return {"status": "healthy", "database": "connected"}, 200


@blueprint.route("/metrics", methods=["GET"])
@blueprint.answers(200, {"type": "string"}, content_type="text/plain")
def metrics() -> Response:
    """Expose metrics for Prometheus"""
    return Response(exposition(), content_type=CONTENT_TYPE)
