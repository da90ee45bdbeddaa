"""Makes the app: routes, errors, metrics and the OpenAPI document around the services it is handed."""

from __future__ import annotations

from flask import Flask
from flask.json.provider import DefaultJSONProvider

from jobqueue.queue.commands import Commands
from jobqueue.queue.connection import Connection, connect
from jobqueue.queue.queries import Queries
from jobqueue.queue.scripts import Scripts
from jobqueue.web import metrics, openapi, services
from jobqueue.web.bodies import MAX_BODY_BYTES
from jobqueue.web.config import ServerSettings
from jobqueue.web.routes import admin, claims, health, jobs


def create_services(settings: ServerSettings) -> services.Services:
    """Return the queue that the settings name. Nothing is sent to Redis yet: it may come later than we do."""
    connection = Connection(connect(settings.redis_url))
    scripts = Scripts(connection)
    return services.Services(
        connection=connection,
        commands=Commands(scripts, settings.policy),
        queries=Queries(scripts, settings.policy),
    )


def create_app(queue: services.Services) -> Flask:
    """Return the app around a queue."""
    app = Flask("jobqueue", static_folder=None)
    app.url_map.merge_slashes = False  # it would answer a redirect, in HTML
    app.config["MAX_CONTENT_LENGTH"] = MAX_BODY_BYTES
    app.json = PlainJson(app)
    services.install(app, queue)
    metrics.install(app, queue.queries)
    openapi.install(app, [jobs.blueprint, claims.blueprint, admin.blueprint, health.blueprint])
    return app


class PlainJson(DefaultJSONProvider):
    """Flask's JSON with the fields in the order they are documented in, and text as UTF-8."""

    sort_keys = False
    ensure_ascii = False
    compact = True
