"""flask-smorest adapted to this API: strict request bodies, the one error shape, an OpenAPI document of all routes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import wraps
from typing import Any, TypeVar, cast

from flask import Flask
from flask.globals import request_ctx
from flask_smorest import Api, Blueprint
from marshmallow import Schema, fields

from jobqueue.web import errors
from jobqueue.web.access import documented
from jobqueue.web.access.needs import ADMIN, NOTHING, Need
from jobqueue.web.bodies.limits import SMALL, Limit
from jobqueue.web.bodies.parser import BodyParser
from jobqueue.web.perimeter import answer_headers, request_ids
from jobqueue.web.requests.job_ids import JobIdConverter
from jobqueue.web.schemas.answers import ErrorOut
from jobqueue.web.schemas.batches import ReportIn
from jobqueue.web.services import services_of

PREFIX = "/api/v1"
DOCUMENT = "api-docs.openapi_json"
"""The endpoint of the OpenAPI document, which flask-smorest makes."""

REFUSALS = (429, 503)
"""Error statuses that every route which uses the queue may answer."""

View = TypeVar("View", bound=Callable[..., Any])


class JobQueueApi(Api):
    """The API and its OpenAPI document, served at `/api/v1/openapi.json`."""

    ERROR_SCHEMA = ErrorOut

    def _register_error_handlers(self) -> None:
        errors.install(self._app)


class JobQueueBlueprint(Blueprint):
    """A group of routes whose request bodies are read strictly and whose answers are documented."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.needs: dict[str, Need] = {}
        """What a caller needs for each route, by its endpoint."""
        self._prepare_doc_cbks.append(self._document_needs)

    def route(self, rule: str, *, needs: Need = ADMIN, **options: Any) -> Callable[[View], View]:
        """Serve a view at a path, for callers that have what it needs. The view's name is its operation id in the
        document: generated clients name methods so.
        """
        register = super().route(rule, **options)

        def decorate(view: View) -> View:
            self.needs[f"{self.name}.{view.__name__}"] = needs
            for status, described in documented.refusals(needs).items():
                _described(view, self.alt_response(status, schema=ErrorOut(), **described))
            return cast("View", register(self.doc(operationId=view.__name__)(view)))

        return decorate

    def arguments(self, schema: Schema, location: str = "json", limit: Limit = SMALL) -> Callable[[View], View]:
        """Hand a view what `schema` makes of the request's body, or of its query string with `location="query"`.

        `limit` says how large the body may be.
        """

        def decorate(view: View) -> View:
            self.ARGUMENTS_PARSER = parser = BodyParser(limit)  # where flask-smorest looks for the status of refusals
            parsing = cast("View", _parsing(view, schema, parser, location))
            _described(parsing, super(JobQueueBlueprint, self).arguments(schema, location=location))
            return parsing if location != "json" else self._document_body(parsing, limit)

        return decorate

    def doc(self, **described: Any) -> Callable[[View], View]:
        """Document what no other decorator says of a view."""
        decorate = super().doc(**described)
        return lambda view: _described(view, decorate)

    def answers(self, status: int, schema: Any = None, **described: Any) -> Callable[[View], View]:
        """Document what a view answers. It is not checked at run time: tests compare answers with the document."""
        headers = {request_ids.HEADER: request_ids.HEADER, **described.pop("headers", {})}
        decorate = self.alt_response(status, schema=schema, success=True, headers=headers, **described)
        return lambda view: _described(view, decorate)

    def refuses(self, *statuses: int) -> Callable[[View], View]:
        """Document the error statuses of a view that uses the queue: these, and those of REFUSALS."""
        return lambda view: self._document_errors(view, (*statuses, *REFUSALS))

    def _document_needs(self, doc: Any, described: Any, *, app: Flask, **_: object) -> Any:
        """Document what an operation needs."""
        need = self.needs[f"{self.name}.{described['manual_doc']['operationId']}"]
        return {**doc, "security": documented.security(need, services_of(app).access.is_open)}

    def _document_body(self, view: View, limit: Limit) -> View:
        """Document the error statuses of a view with a body, and its limits; flask-smorest adds the 400."""
        large = f"The body is larger than {limit.text} ({limit.bytes} bytes)."
        other = "Content-Type is not JSON, or Content-Encoding is neither gzip nor identity."
        _described(view, self.alt_response(413, schema=ErrorOut(), description=large))
        return _described(view, self.alt_response(415, schema=ErrorOut(), description=other))

    def _document_errors(self, view: View, statuses: Iterable[int]) -> View:
        for status in statuses:
            _described(view, self.alt_response(status, schema=ErrorOut()))
        return view


def _described(view: View, decorate: Callable[[Any], Any]) -> View:
    """Return the view itself, with what a decorator of flask-smorest says about it in the document.

    What the decorator returns is a function around the view that only asks, at every call, whether the view is a
    coroutine. Half a dozen of them would cost as much as reading a body.
    """
    view._apidoc = decorate(view)._apidoc  # type: ignore[attr-defined]
    return view


def _parsing(view: Callable[..., Any], schema: Schema, parser: BodyParser, location: str) -> Callable[..., Any]:
    """Return a view that is called with what a request says, and calls this one with what the schema makes of it."""

    @wraps(view)
    def call(**path: Any) -> Any:
        return view(parser.parse(schema, request_ctx.request, location=location), **path)

    return call


def needs(blueprints: Iterable[JobQueueBlueprint]) -> Mapping[str, Need]:
    """Return what a caller needs for each route, by its endpoint. The document is open: it says nothing about jobs."""
    declared = {endpoint: need for blueprint in blueprints for endpoint, need in blueprint.needs.items()}
    return {DOCUMENT: NOTHING, **declared}


def install(app: Flask, blueprints: Iterable[JobQueueBlueprint]) -> None:
    """Give the app its routes and the OpenAPI document of them."""
    app.config.update(OPENAPI_URL_PREFIX=PREFIX, OPENAPI_JSON_PATH="openapi.json")
    app.url_map.converters["job_id"] = JobIdConverter
    api = JobQueueApi(app, spec_kwargs={"title": "jobqueue", "version": "v1", "openapi_version": "3.1.0"})
    api.spec.components.header(request_ids.HEADER, answer_headers.DOCUMENTED)
    api.register_converter(JobIdConverter, lambda _: {"type": "string", "format": "uuid"})
    api.ma_plugin.converter.add_attribute_function(publish_key_rules)
    api.ma_plugin.converter.add_attribute_function(publish_reports)
    for name, scheme in documented.SCHEMES.items():
        api.spec.components.security_scheme(name, scheme)
    for blueprint in blueprints:
        api.register_blueprint(blueprint, url_prefix=PREFIX)


def publish_key_rules(converter: Any, field: Any, **_: object) -> dict[str, object]:
    """Return the rules for the names in an object, which apispec leaves out."""
    if not isinstance(field, fields.Dict) or field.key_field is None:
        return {}
    return {"propertyNames": converter.field2property(field.key_field)}


def publish_reports(converter: Any, field: Any, **_: object) -> dict[str, object]:
    """Return the kinds of reports: each has fields of its own."""
    if not isinstance(field, ReportIn):
        return {}
    return {"oneOf": [converter.resolve_nested_schema(schema) for schema in field.SCHEMAS.values()]}
