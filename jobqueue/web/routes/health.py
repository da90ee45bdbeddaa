"""The operators' probes: the health check, and metrics in Prometheus's text format."""

from __future__ import annotations

from http import HTTPStatus

from flask import Response

from jobqueue.errors import StoreUnavailable
from jobqueue.queue import health as health_of_store
from jobqueue.queue.health import Health
from jobqueue.web.access.needs import METRICS, NOTHING
from jobqueue.web.errors import retry_after
from jobqueue.web.metrics.http import CONTENT_TYPE, exposition
from jobqueue.web.openapi import JobQueueBlueprint
from jobqueue.web.schemas import answers
from jobqueue.web.services import services

STATUSES = {
    Health.CONNECTED: ("healthy", 200),
    # A full store still serves every request but new jobs, and running jobs must be able to end, or it stays full. With
    # 503, every balancer would take every server out.
    Health.FULL: ("degraded", 200),
    Health.READ_ONLY: ("unhealthy", 503),
    Health.UNAUTHORIZED: ("unhealthy", 503),
    Health.DISCONNECTED: ("unhealthy", 503),
}

blueprint = JobQueueBlueprint("health", __name__, description="Probes.")


@blueprint.route("/health", methods=["GET"], needs=NOTHING)
@blueprint.answers(200, answers.HealthOut())
@blueprint.answers(503, answers.HealthOut())
def health() -> tuple[dict[str, str], int, dict[str, str]]:
    """Check the server and its database"""
    database = health_of_store.check(services().connection)
    status, code = STATUSES[database]
    headers = retry_after(StoreUnavailable()) if code == HTTPStatus.SERVICE_UNAVAILABLE else {}
    return {"status": status, "database": database}, code, headers


@blueprint.route("/health/live", methods=["GET"], needs=NOTHING)
@blueprint.answers(200, answers.LiveOut())
def live() -> dict[str, str]:
    """Check that the server answers, whatever its database does"""
    return {"status": "alive"}


@blueprint.route("/metrics", methods=["GET"], needs=METRICS)
@blueprint.answers(200, {"type": "string"}, content_type="text/plain")
def metrics() -> Response:
    """Expose metrics for Prometheus"""
    return Response(exposition(), content_type=CONTENT_TYPE)
