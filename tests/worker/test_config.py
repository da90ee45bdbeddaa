"""What the worker can be told, and how it says that it was told something wrong."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from jobqueue.settings import InvalidSetting
from jobqueue.worker import config

ROOT = Path(__file__).parents[2]


def test_everything_has_a_default() -> None:
    settings = config.load({})
    assert settings.api_url == "http://127.0.0.1:8080/api/v1"
    assert re.fullmatch(rf"[\w.-]+-{os.getpid()}-[0-9a-f]{{6}}", settings.executor_id)


def test_no_two_workers_have_the_same_name_by_default() -> None:
    assert config.load({}).executor_id != config.load({}).executor_id


def test_a_long_or_odd_host_name_makes_a_good_name(monkeypatch: pytest.MonkeyPatch) -> None:
    for host in ("ümläut host\n", "x" * 300, ""):
        monkeypatch.setattr("socket.gethostname", lambda host=host: host)
        name = config.load({}).executor_id
        assert config.load({"EXECUTOR_ID": name}).executor_id == name


def test_what_is_given_is_taken() -> None:
    settings = config.load({"API_URL": "https://host/queue/api/v1", "EXECUTOR_ID": "wörker:1"})
    assert (settings.api_url, settings.executor_id) == ("https://host/queue/api/v1", "wörker:1")


def test_empty_counts_as_not_given() -> None:
    settings = config.load({"API_URL": "", "EXECUTOR_ID": " "})
    assert settings.api_url == config.DEFAULT_API_URL
    assert str(os.getpid()) in settings.executor_id


@pytest.mark.parametrize("url", ["host:8080", "ftp://host", "http://", "/api/v1", "http://host:99999", "redis://host"])
def test_a_wrong_api_url_is_refused(url: str) -> None:
    with pytest.raises(InvalidSetting, match=r"^API_URL is .*, but must be a URL that starts with http:// or https://"):
        config.load({"API_URL": url})


@pytest.mark.parametrize("name", ["two words", "x" * 129, "tab\tbed", "bell\a", "line\nbreak", "zero\u200bwidth"])
def test_a_wrong_executor_id_is_refused(name: str) -> None:
    with pytest.raises(InvalidSetting, match=r"^EXECUTOR_ID is .*, but must be 1 to 128 printable characters"):
        config.load({"EXECUTOR_ID": name})


def test_the_longest_executor_id_is_taken() -> None:
    assert config.load({"EXECUTOR_ID": "x" * 128}).executor_id == "x" * 128


def test_a_password_is_not_told() -> None:
    with pytest.raises(InvalidSetting) as caught:
        config.load({"API_URL": "ftp://user:canary@host"})
    assert "canary" not in str(caught.value)


def test_a_worker_that_is_told_wrong_says_so_in_one_sentence_and_does_not_start() -> None:
    command, variables = [sys.executable, "worker.py"], {"API_URL": "ftp://host"}
    ended = subprocess.run(command, cwd=ROOT, env=variables, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr == "API_URL is 'ftp://host', but must be a URL that starts with http:// or https://.\n"
