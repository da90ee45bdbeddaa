"""`web/perimeter/own_names.py`: the names that this machine and its platform give it."""

from __future__ import annotations

import socket

import pytest

from jobqueue.web.perimeter.own_names import of_machine, of_platform, own_names


@pytest.mark.parametrize(
    ("variable", "value", "names"),
    [
        ("HEROKU_APP_DEFAULT_DOMAIN_NAME", "App-0123.herokuapp.com", ["app-0123.herokuapp.com"]),
        ("HEROKU_APP_NAME", "app", ["app.herokuapp.com"]),
        ("RENDER_EXTERNAL_HOSTNAME", "app.onrender.com", ["app.onrender.com"]),
        ("RAILWAY_PUBLIC_DOMAIN", "app.up.railway.app", ["app.up.railway.app"]),
        ("RAILWAY_PRIVATE_DOMAIN", "app.railway.internal", ["app.railway.internal"]),
        ("RAILWAY_ENVIRONMENT_ID", "0f3b", ["healthcheck.railway.app"]),
        ("FLY_APP_NAME", "app", ["app.fly.dev", "app.flycast"]),
        ("FLY_APP_NAME", "", []),
        ("FLY_APP_NAME", "a/b@c", []),
        ("RENDER_EXTERNAL_HOSTNAME", "*", []),
        ("HOSTNAME", "app.example", []),
    ],
)
def test_a_platform_gives_names_by_its_variables(variable: str, value: str, names: list[str]) -> None:
    assert [*of_platform({variable: value})] == names


def test_the_complete_name_of_a_machine_stands_beside_its_host_name_in_the_hosts_file() -> None:
    listed = "127.0.0.1 localhost\n127.0.1.1\tBox.corp.example box # box.comment.example\n10.0.0.9 boxes.example\n"
    assert {*of_machine("box", listed)} == {"box", "box.corp.example"}


def test_a_machine_is_known_by_its_host_name() -> None:
    assert socket.gethostname().lower() in own_names({})
