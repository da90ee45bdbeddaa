"""Creates the Flask app: routes, error handlers, metrics and the OpenAPI document."""

from __future__ import annotations

from flask import Flask
from flask.json.provider import DefaultJSONProvider

from jobqueue.queue.claims import Claims
from jobqueue.queue.commands import Commands
from jobqueue.queue.connection import Connection, connect
from jobqueue.queue.queries import Queries
from jobqueue.queue.scripts import Scripts
from jobqueue.web import openapi, services
from jobqueue.web.bodies import reader
from jobqueue.web.config import ServerSettings
from jobqueue.web.metrics import http as metrics
from jobqueue.web.routes import admin, claims, health, jobs


def create_services(settings: ServerSettings) -> services.Services:
    """Return the services that the settings describe. Nothing is sent to Redis yet: it may start after the server."""
    connection = Connection(connect(settings.redis_url, settings.verifies_redis))
    scripts = Scripts(connection)
    given = scripts, settings.policy
    return services.Services(connection, Commands(*given), Claims(*given), Queries(*given))


def create_app(provided: services.Services) -> Flask:
    """Return an app whose views use these services."""
    app = Flask("jobqueue", static_folder=None)
    app.url_map.merge_slashes = False  # or werkzeug would answer `//` in a path with a redirect, in HTML
    app.json = PlainJson(app)
    services.install(app, provided)
    reader.install(app)
    metrics.install(app, provided.queries, provided.connection)
    openapi.install(app, [jobs.blueprint, claims.blueprint, admin.blueprint, health.blueprint])
    return app


class PlainJson(DefaultJSONProvider):
    """Flask's JSON, with fields in the documented order and text as UTF-8 instead of escapes."""

    sort_keys = False
    ensure_ascii = False
    compact = True
