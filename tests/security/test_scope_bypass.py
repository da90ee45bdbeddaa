"""A token is used for what its scope does not include: one table of every path, method and kind of token."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from jobqueue.access.scopes import Scope, including
from jobqueue.web.access.policy import Access
from jobqueue.web.openapi import DOCUMENT
from jobqueue.web.requests.job_ids import PARAMETER
from jobqueue.web.routes import admin, claims, health, jobs
from tests.support.bench import Bench
from tests.support.logins import connect_as_administrator
from tests.support.serving import PREFIX
from tests.support.tokens import NOT_CONFIGURED, bearer, one_for_each_scope
from tests.support.web import UNKNOWN_ID, Api

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
TABLE = """
/jobs                     read   read   submit   -        -    -       any
/jobs/bulk                -      -      submit   -        -    -       any
/jobs/bulk/cancel         -      -      submit   -        -    -       any
/jobs/bulk/finish         -      -      execute  -        -    -       any
/jobs/bulk/heartbeat      -      -      execute  -        -    -       any
/jobs/claim               -      -      execute  -        -    -       any
/jobs/<job_id>            read   read   -        -        -    submit  any
/jobs/<job_id>/complete   -      -      -        execute  -    -       any
/jobs/<job_id>/fail       -      -      -        execute  -    -       any
/jobs/<job_id>/heartbeat  -      -      -        execute  -    -       any
/jobs/<job_id>/output     read   read   -        -        -    -       any
/jobs/<job_id>/release    -      -      execute  -        -    -       any
/admin/activity           admin  admin  -        -        -    -       any
/admin/executors          read   read   -        -        -    -       any
/admin/stats              read   read   -        -        -    -       any
/health                   open   open   405      405      405  405     open
/health/live              open   open   405      405      405  405     open
/metrics                  open   open   405      405      405  405     open
/openapi.json             open   open   405      405      405  405     open
/unknown                  404    404    404      404      404  404     404
/jobs/no-id               404    404    404      404      404  404     404
/jobs/no-id/complete      404    404    404      404      404  404     404
/../health                404    404    404      404      404  404     404
"""
"""For each path, what each of METHODS needs: a scope, `any` token, or nothing (`open`). `-` and 405 are methods that
the path does not have, and 404 a path that there is not. To `-` and 404, those without a token are answered 401.
"""

ROWS = {path: dict(zip(METHODS, needs, strict=True)) for path, *needs in map(str.split, TABLE.strip().splitlines())}
CALLERS = [None, NOT_CONFIGURED, *Scope]
NOT_THERE = {"-", "404", "405"}
PASSED = {200, 204, 400, 404, 415}
"""What a request without a body may be answered by a route that has let it through."""


def answers(need: str, caller: str | None) -> set[int]:
    """Return what a caller may be answered: one with a token of that name, or without one."""
    if need in {"open", "405"}:
        return {200} if need == "open" else {405}
    if caller not in list(Scope):
        return {401}
    if need in {"-", "404"}:
        return {405} if need == "-" else {404}
    if need == "any":
        return {200}
    return PASSED if Scope(need) in including([Scope(caller)]) else {403}


def cells() -> Iterator[tuple[str, str, str]]:
    """Yield path, method and need of each cell of the table."""
    for path, needs in ROWS.items():
        for method, need in needs.items():
            yield path.replace("<job_id>", UNKNOWN_ID), method, need


@pytest.fixture(scope="module")
def bench(server_url: str) -> Iterator[Bench]:
    """A queue that nobody empties."""
    with connect_as_administrator(server_url) as client:
        yield Bench(client)


@pytest.fixture(scope="module")
def guarded(bench: Bench) -> Api:
    """The app with a token for each scope."""
    return Api(bench, Access(one_for_each_scope()))


@pytest.mark.parametrize("caller", CALLERS)
def test_every_route_answers_every_method_of_every_caller_as_the_table_says(guarded: Api, caller: str | None) -> None:
    headers = bearer(caller) if caller else {}
    wrong = []
    for path, method, need in cells():
        response = guarded.call(method, path, headers=headers)
        if response.status_code not in answers(need, caller):
            wrong.append((method, path, need, response.status_code))
        if response.status_code == 403 and method != "HEAD":
            assert response.get_json()["context"]["scope"] == need
        assert (response.headers.get("WWW-Authenticate") == "Bearer") is (response.status_code == 401)
    assert wrong == []


def test_an_open_api_lets_everybody_do_everything(bench: Bench) -> None:
    everybody = Api(bench)
    refused = {(path, method) for path, method, _ in cells() if everybody.call(method, path).status_code in {401, 403}}
    assert refused == set()


def test_the_table_has_every_route(guarded: Api) -> None:
    routes = {
        (rule.rule.removeprefix(PREFIX).replace(PARAMETER, "<job_id>"), method)
        for rule in guarded.app.url_map.iter_rules()
        for method in rule.methods or ()
    }
    assert routes == {
        (path, method) for path, needs in ROWS.items() for method, need in needs.items() if need not in NOT_THERE
    }


def test_every_route_says_what_it_needs_where_it_is_declared(guarded: Api) -> None:
    blueprints = jobs.blueprint, claims.blueprint, admin.blueprint, health.blueprint
    declared = {endpoint: need for blueprint in blueprints for endpoint, need in blueprint.needs.items()}
    routes = guarded.app.url_map.bind("localhost")
    for path, method, need in cells():
        if method not in {"HEAD", "OPTIONS"} and need not in NOT_THERE:
            endpoint, _ = routes.match(PREFIX + path, method)
            if endpoint != DOCUMENT:
                assert need == (declared[endpoint] if declared[endpoint] in list(Scope) else "open"), path
