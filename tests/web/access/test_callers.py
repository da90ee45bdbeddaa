"""Who the caller of a request is, for what is counted and kept by caller."""

from __future__ import annotations

from typing import Any

from flask import jsonify

from jobqueue.access.scopes import ALL_SCOPES
from jobqueue.web.access.callers import caller
from jobqueue.web.access.policy import Access
from tests.support.bench import Bench
from tests.support.tokens import bearer, one_for_each_scope
from tests.support.web import Api


def seen(api: Api, headers: dict[str, str], path: str = "/jobs") -> Any:
    """Return what a view sees of its caller."""

    def view(**_: object) -> Any:
        who = caller()
        return jsonify([who.name, sorted(who.scopes), who.address])

    for endpoint in ("jobs.list_jobs", "health.health"):
        api.app.view_functions[endpoint] = view
    return api.call("GET", path, headers=headers).get_json()


def test_a_caller_has_the_name_and_the_scopes_of_its_token_and_an_address(api: Api) -> None:
    guarded = Api(Bench(api.bench.client), Access(one_for_each_scope()))
    assert seen(guarded, bearer("submit")) == ["submit", ["read", "submit"], "127.0.0.1"]


def test_a_caller_of_an_open_api_has_no_name_and_all_scopes(api: Api) -> None:
    assert seen(Api(Bench(api.bench.client)), bearer("submit")) == ["", sorted(ALL_SCOPES), "127.0.0.1"]


def test_a_caller_that_needed_no_token_may_do_nothing(api: Api) -> None:
    guarded = Api(Bench(api.bench.client), Access(one_for_each_scope()))
    assert seen(guarded, {}, "/health") == ["", [], "127.0.0.1"]
