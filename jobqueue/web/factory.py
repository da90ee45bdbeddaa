"""Creates the Flask app: routes, error handlers, metrics and the OpenAPI document."""

from __future__ import annotations

from collections.abc import Callable
from json import JSONEncoder
from typing import Any

from flask import Flask, Response
from flask.json.provider import DefaultJSONProvider
from werkzeug.datastructures import Headers

from jobqueue.net.destinations.hosts import Hosts
from jobqueue.queue.claims import Claims
from jobqueue.queue.commands import Commands
from jobqueue.queue.connection import Connection, connect
from jobqueue.queue.queries import Queries
from jobqueue.queue.scripts import Scripts
from jobqueue.queue.waiting import neighbours
from jobqueue.queue.waiting.listener import Listener
from jobqueue.queue.waiting.waiters import Waiters
from jobqueue.queue.waiting.watches import Watches
from jobqueue.web import openapi, services
from jobqueue.web.access import guard, policy
from jobqueue.web.bodies import reader
from jobqueue.web.config import ServerSettings
from jobqueue.web.metrics import http as metrics
from jobqueue.web.perimeter import hooks
from jobqueue.web.perimeter.rules import Perimeter
from jobqueue.web.routes import admin, claims, health, jobs


def create_services(settings: ServerSettings) -> services.Services:
    """Return the services that the settings describe. Nothing is sent to Redis yet: it may start after the server.

    Raises InvalidSetting if the tokens of API_TOKENS_FILE cannot be used.
    """
    access = policy.configured(settings)
    connection = Connection(connect(settings.redis_url, settings.verifies_redis, settings.redis_login))
    scripts = Scripts(connection)
    given = scripts, settings.policy
    listener = Listener(connection)
    waits = Waiters(listener, neighbours.inherited()), Watches(listener), listener
    hosts = Hosts.of(settings.binary_hosts)
    queue = Commands(*given), Claims(*given), Queries(*given)
    return services.Services(connection, *queue, *waits, access, hosts, settings.rate_limit)


def create_app(provided: services.Services, perimeter: Perimeter | None = None) -> Flask:
    """Return an app whose views use these services. Without a perimeter, it is the one of an open API."""
    app = App("jobqueue", static_folder=None)
    app.url_map.merge_slashes = False  # or werkzeug would answer `//` in a path with a redirect, in HTML
    app.json = PlainJson(app)
    services.install(app, provided)
    reader.install(app)
    blueprints = jobs.blueprint, claims.blueprint, admin.blueprint, health.blueprint
    metrics.install(app, provided.queries, provided.connection)
    hooks.install(app, perimeter or Perimeter())
    guard.install(app, provided.access, openapi.needs(blueprints))
    if provided.rate_limit:
        from jobqueue.web.rates import limiter  # noqa: PLC0415  # costs 0.15 s and memory, which nobody else needs

        limiter.install(app, provided.rate_limit, provided.commands)
    openapi.install(app, blueprints)
    return app


class Answer(Response):
    """Flask's response, which leaves the headers of a success as they are."""

    def get_wsgi_headers(self, environ: Any) -> Headers:
        """Return the headers to send.

        werkzeug would copy them, add a length that is there, and encode a `Location` that holds nothing but ASCII.
        """
        if self.status_code in (200, 201) and "Content-Length" in self.headers:
            return self.headers
        return super().get_wsgi_headers(environ)


class App(Flask):
    """Flask without what it does at every call for views that are coroutines: there are none here."""

    response_class = Answer

    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        """Return the function."""
        return func


class PlainJson(DefaultJSONProvider):
    """Flask's JSON, with fields in the documented order and text as UTF-8 instead of escapes."""

    sort_keys = False
    ensure_ascii = False
    compact = True

    def __init__(self, app: Flask) -> None:
        super().__init__(app)
        # Flask would make an encoder for every answer.
        settings: dict[str, Any] = {"sort_keys": self.sort_keys, "ensure_ascii": self.ensure_ascii}
        self._encoder = JSONEncoder(separators=(",", ":"), default=self.default, **settings)

    def response(self, *args: Any, **kwargs: Any) -> Response:
        """Return a response with a value as JSON."""
        text = self._encoder.encode(self._prepare_response_obj(args, kwargs))
        return Answer(f"{text}\n", mimetype=self.mimetype)
