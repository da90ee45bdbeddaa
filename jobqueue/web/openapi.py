"""flask-smorest as this API needs it: our bodies, our error shape, and the OpenAPI document of exactly our routes."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from flask import Flask
from flask_smorest import Api, Blueprint
from marshmallow import Schema, fields

from jobqueue.web import errors
from jobqueue.web.bodies import BodyParser
from jobqueue.web.schemas.answers import ErrorOut

PREFIX = "/api/v1"

View = TypeVar("View", bound=Callable[..., Any])


class JobQueueApi(Api):
    """The API and its OpenAPI document, served at `/api/v1/openapi.json`."""

    ERROR_SCHEMA = ErrorOut

    def _register_error_handlers(self) -> None:
        errors.install(self._app)


class JobQueueBlueprint(Blueprint):
    """A group of routes whose bodies are read strictly, and whose answers are written down."""

    ARGUMENTS_PARSER = BodyParser()

    def answers(
        self, status: int, schema: Schema | dict[str, str] | None = None, **described: Any
    ) -> Callable[[View], View]:
        """Document what a view answers. It is not checked at run time: tests hold answers against the document."""
        decorate: Callable[[View], View] = self.alt_response(status, schema=schema, success=True, **described)
        return decorate

    def refuses(self, *statuses: int) -> Callable[[View], View]:
        """Document with which statuses a view may answer an error; any of them may also answer 503."""

        def decorate(view: View) -> View:
            for status in (*statuses, 503):
                view = self.alt_response(status, schema=ErrorOut())(view)
            return view

        return decorate


def install(app: Flask, blueprints: Iterable[JobQueueBlueprint]) -> None:
    """Give the app its routes and its document."""
    app.config.update(
        API_TITLE="jobqueue",
        API_VERSION="v1",
        OPENAPI_VERSION="3.1.0",
        OPENAPI_URL_PREFIX=PREFIX,
        OPENAPI_JSON_PATH="openapi.json",
    )
    documented = JobQueueApi(app)
    documented.ma_plugin.converter.add_attribute_function(publish_key_rules)
    for blueprint in blueprints:
        documented.register_blueprint(blueprint, url_prefix=PREFIX)


def publish_key_rules(converter: Any, field: Any, **_: object) -> dict[str, object]:
    """Return the rules for the names in an object, which apispec leaves out."""
    if not isinstance(field, fields.Dict) or field.key_field is None:
        return {}
    return {"propertyNames": converter.field2property(field.key_field)}
