"""The server's settings: their defaults, their bounds, and how a wrong one ends the server with a sentence."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from jobqueue.access.scopes import Scope
from jobqueue.queue.policy import Policy
from jobqueue.redaction import redacted
from jobqueue.settings import InvalidSetting
from jobqueue.web import config
from tests.support.paths import ROOT
from tests.support.serving import environment, gunicorn, running_api
from tests.support.tokens import line, token

SECONDS = ("HEARTBEAT_TIMEOUT_SECONDS", "EXECUTOR_TIMEOUT_SECONDS", "JOB_RETENTION_SECONDS", "JOB_TIMEOUT_SECONDS")
NOT_SECONDS = ["nan", "inf", "-inf", "-1", "1e400", "sixty", "60s", "1,5", "0x10", "99999999999", "--1"]
NOT_WHOLE_NUMBERS = ["0", "-1", "1.5", "three", "nan", "1e3", "+3", "1_0", "٣", "9" * 30]
WRONG = [
    *(("PORT", value) for value in [*NOT_WHOLE_NUMBERS, "65536", "http"]),
    *(("MAX_ATTEMPTS", value) for value in NOT_WHOLE_NUMBERS),
    *(("MAX_HOST_FAULTS", value) for value in NOT_WHOLE_NUMBERS),
    *((name, value) for name in SECONDS for value in NOT_SECONDS),
    ("HEARTBEAT_TIMEOUT_SECONDS", "0"),
    ("EXECUTOR_TIMEOUT_SECONDS", "0"),
    ("JOB_TIMEOUT_SECONDS", "0"),
    ("JOB_TIMEOUT_SECONDS", "0.09"),
    *(("REDIS_URL", value) for value in ["http://x", "redis", "localhost:6379", "redis://", "unix://", "redis://h:0"]),
    *(("REDIS_URL", value) for value in ["redis://h:99999", "redis://h:port", "redis://[::1", "rediss:///0", "//h"]),
]


def load(name: str, value: str) -> None:
    config.load({name: value})
    config.load_gunicorn({name: value})


def test_unset_and_empty_variables_mean_the_documented_defaults() -> None:
    for variables in ({}, dict.fromkeys([*SECONDS, "MAX_ATTEMPTS", "MAX_HOST_FAULTS", "REDIS_URL", "PORT"], " ")):
        settings = config.load(variables)
        assert settings.redis_url == "redis://127.0.0.1:6379/0"
        assert settings.policy == Policy(60_000, 120_000, 3, 604_800_000, None, 3)
        assert config.load_gunicorn(variables).port == 8080


def test_every_setting_is_read_and_seconds_may_have_fractions() -> None:
    settings = config.load(
        {
            "REDIS_URL": "rediss://user:secret@h:6380/1?ssl_cert_reqs=none",
            "HEARTBEAT_TIMEOUT_SECONDS": "0.25",
            "EXECUTOR_TIMEOUT_SECONDS": "10",
            "MAX_ATTEMPTS": "7",
            "MAX_HOST_FAULTS": "5",
            "JOB_RETENTION_SECONDS": "0",
            "JOB_TIMEOUT_SECONDS": "0.1",
        }
    )
    assert settings.redis_url == "rediss://user:secret@h:6380/1?ssl_cert_reqs=none"
    assert settings.policy == Policy(250, 10_000, 7, 0, 0.1, 5)


@pytest.mark.parametrize(
    "url", ["redis://h", "redis://:secret@h:6379/3", "redis://h/0/", "redis://[::1]:1", "unix:///run/redis.sock"]
)
def test_every_kind_of_redis_url_is_accepted(url: str) -> None:
    assert config.load({"REDIS_URL": url}).redis_url == url


@pytest.mark.parametrize("port", [1, 8080, 65535])
def test_every_port_is_accepted(port: int) -> None:
    assert config.load_gunicorn({"PORT": str(port)}).port == port


@pytest.mark.parametrize(("name", "value"), WRONG)
def test_a_wrong_value_is_refused_with_its_name_and_what_is_allowed(name: str, value: str) -> None:
    with pytest.raises(InvalidSetting) as raised:
        load(name, value)
    assert re.fullmatch(rf"{name} is '{re.escape(redacted(value))}', but must be .{{10,}}\.", str(raised.value))


def test_a_redis_url_with_a_wrong_path_is_refused_for_its_path() -> None:
    with pytest.raises(InvalidSetting, match=r"^REDIS_URL is 'redis://h/abc', but the path .*\w\.$"):
        config.load({"REDIS_URL": "redis://h/abc"})


def test_a_parameter_of_tls_without_tls_is_refused_in_words_that_no_redaction_changes() -> None:
    with pytest.raises(InvalidSetting, match=r"ssl_cert_reqs needs TLS, and so a URL that starts with rediss\.$"):
        config.load({"REDIS_URL": "redis://h?ssl_cert_reqs=none"})


@pytest.mark.parametrize(
    "url",
    [
        "http://:secret@example.com",
        "http://user:secret@example.com:6379/0",
        "redis://:secret@example.com:port",
        "redis://:secret@:6379",
        "redis://user:se/cret@example.com:6379",
        "http://:p@ss-secret@example.com",
        "http://:secret?x@example.com",
        "http://:secret#1@example.com",
    ],
)
def test_a_password_is_never_shown(url: str) -> None:
    with pytest.raises(InvalidSetting) as raised:
        config.load({"REDIS_URL": url})
    assert "cret" not in str(raised.value)
    assert url.partition(":")[0] in str(raised.value)


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("PORT", "abc", "a whole number from 1 to 65535"),
        ("MAX_ATTEMPTS", "0", "a whole number from 1 to 1000"),
        ("HEARTBEAT_TIMEOUT_SECONDS", "nan", "a number of seconds from 0.1 to 315360000"),
        ("REDIS_URL", "http://:secret@x", "a URL that starts with redis:// or rediss:// or unix://"),
    ],
)
def test_a_server_with_a_wrong_setting_ends_at_once_with_one_sentence(
    tmp_path: Path, name: str, value: str, allowed: str
) -> None:
    variables = environment(tmp_path, **{name: value})
    done = subprocess.run(gunicorn(), cwd=ROOT, env=variables, capture_output=True, text=True, timeout=20, check=False)
    assert done.returncode == 1
    shown = value.replace(":secret", "***")
    assert done.stdout + done.stderr == f"{name} is '{shown}', but must be {allowed}.\n"


@pytest.mark.parametrize(
    ("url", "option"),
    [("redis://h/0?frob=1", "frob"), ("redis://h?socket_timeout=abc", "socket_timeout"), ("redis://h?db=x", "db")],
)
def test_an_option_that_redis_py_does_not_accept_is_refused_at_the_start(tmp_path: Path, url: str, option: str) -> None:
    command = gunicorn("--check-config")
    variables = environment(tmp_path, REDIS_URL=url)
    done = subprocess.run(command, cwd=ROOT, env=variables, capture_output=True, text=True, timeout=20, check=False)
    assert done.returncode == 1
    assert re.fullmatch(
        rf"REDIS_URL is '{re.escape(redacted(url))}', but .*\b{option}\b.*[^.]\.\n", done.stdout + done.stderr
    )


def test_a_variable_whose_name_is_nearly_a_settings_is_noticed_and_no_other() -> None:
    meant = {
        "HEARTBEAT_TIMEOUT": "HEARTBEAT_TIMEOUT_SECONDS",
        "MAX_PENDING_JOB": "MAX_PENDING_JOBS",
        "WEB_CONCURENCY": "WEB_CONCURRENCY",
    }
    others = dict.fromkeys(["PATH", "HOME", "SLOTS", "API_URL", "REDIS_TLS_URL", "REDISCLOUD_URL", "LOG_LEVEL"], "x")
    assert config.misspelt({**others, **dict.fromkeys(meant, "x")}) == meant


def test_a_token_of_the_worker_counts_as_misspelt_where_the_api_is_open() -> None:
    assert config.misspelt({"API_TOKEN": token("worker")}) == {"API_TOKEN": "API_TOKENS"}
    assert config.misspelt({"API_TOKEN": token("worker"), "API_TOKENS": line("operator", Scope.ADMIN)}) == {}


def test_the_server_logs_once_which_variables_are_nearly_settings(tmp_path: Path, redis_url: str) -> None:
    with running_api(tmp_path, REDIS_URL=redis_url, MAX_PENDING_JOB="5") as server:
        [warning] = [line for line in server.log.splitlines() if "setting_unknown" in line]
    assert warning.endswith("level=warning event=setting_unknown name=MAX_PENDING_JOB meant=MAX_PENDING_JOBS")


def test_the_server_listens_on_the_configured_port(tmp_path: Path) -> None:
    command = gunicorn("--print-config")
    variables = environment(tmp_path, PORT="12345")
    done = subprocess.run(command, cwd=ROOT, env=variables, capture_output=True, text=True, timeout=20, check=True)
    assert re.search(r"^bind +?= \['(0\.0\.0\.0|\[::\]):12345'\]", done.stdout, re.MULTILINE)
