"""The worker's settings: their defaults, their bounds, and how a wrong or misspelt one is reported."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from jobqueue.net.destinations.addresses import AddressRules
from jobqueue.settings import InvalidSetting
from jobqueue.signing.keys import PublicKey
from jobqueue.worker import config
from jobqueue.worker.config import WorkerSettings
from jobqueue.worker.host.processors import usable_processors
from jobqueue.worker.programs.policy import DownloadRules
from tests.support.child_script import output_of
from tests.support.paths import ROOT

KEY = PublicKey(bytes(range(32)))
HOSTS = ("files.example.org", "*.example.com:8443", "10.0.0.1", "[::1]:80")


def test_every_setting_has_a_default() -> None:
    settings = config.load({})
    assert settings.api_url == "http://127.0.0.1:8080/api/v1"
    assert re.fullmatch(rf"[\w.-]+-{os.getpid()}-[0-9a-f]{{6}}", settings.executor_id)
    assert settings == WorkerSettings(
        api_url=settings.api_url,
        api_token="",
        api_token_file=None,
        executor_id=settings.executor_id,
        slots=usable_processors(),
        ca_file=None,
        job_timeout_seconds=None,
        kill_grace_seconds=10,
        drain_seconds=18,
        on_lease_loss="stop",
        cache_directory=None,
        cache_max_bytes=5 * 1024**3,
        spool_directory=None,
        max_binary_bytes=1024**3,
        download_timeout_seconds=300,
        download_retry_seconds=60,
        binary_hosts=(),
        allowed_binary_hosts=(),
        binary_networks="any",
        allowed_sha256_file=None,
        prefetch=None,
        trusted_keys=(),
        isolation="none",
        isolation_uid=59000,
        network="host",
        max_open_files=4096,
        env_passthrough=(),
        log_format="logfmt",
        temporary_directory=Path("/tmp"),
    )
    assert settings.download == DownloadRules()


def test_a_variable_whose_name_is_nearly_a_settings_is_noticed_and_no_other() -> None:
    meant = {"ISOLATON": "ISOLATION", "SLOT": "SLOTS", "CACHE_DIRS": "CACHE_DIR", "API_UR": "API_URL"}
    others = (
        "PATH",
        "HOME",
        "LANG",
        "PWD",
        "TERM",
        "USER",
        "SHELL",
        "HOSTNAME",
        "REDIS_URL",
        "PORT",
        "WEB_CONCURRENCY",
        "API_TOKENS",
        "API_TOKENS_FILE",
    )
    of_others = ("CCACHE_DIR", "SCCACHE_DIR", "UV_CACHE_DIR", "PIP_CACHE_DIR", "XDG_CACHE_HOME", "TMP", "API_KEY")
    assert config.misspelt(dict.fromkeys([*meant, *others, *of_others], "x")) == meant


def test_two_workers_have_different_ids_by_default() -> None:
    assert config.load({}).executor_id != config.load({}).executor_id


def test_a_long_or_odd_host_name_makes_a_valid_id(monkeypatch: pytest.MonkeyPatch) -> None:
    for host in ("ümläut host\n", "x" * 300, ""):
        monkeypatch.setattr("socket.gethostname", lambda host=host: host)
        name = config.load({}).executor_id
        assert config.load({"EXECUTOR_ID": name}).executor_id == name


def test_every_setting_is_read() -> None:
    settings = config.load(
        {
            "API_URL": "https://host/queue/api/v1",
            "CA_FILE": "/etc/ca.pem",
            "API_TOKEN": "word",
            "API_TOKEN_FILE": "/run/token",
            "EXECUTOR_ID": "wörker:1",
            "SLOTS": "7",
            "PREFETCH": "3",
            "JOB_TIMEOUT_SECONDS": "3600",
            "KILL_GRACE_SECONDS": "0",
            "DRAIN_SECONDS": "2.5",
            "ON_LEASE_LOSS": "finish",
            "CACHE_DIR": "/cache",
            "CACHE_MAX_BYTES": "0",
            "SPOOL_DIR": "/spool",
            "MAX_BINARY_BYTES": "1000",
            "DOWNLOAD_TIMEOUT_SECONDS": "60",
            "DOWNLOAD_RETRY_SECONDS": "7.5",
            "TRUSTED_KEYS": f"{KEY} {KEY}",
            "BINARY_HOSTS": ", ".join(HOSTS),
            "BINARY_NETWORKS": "public",
            "ALLOWED_SHA256_FILE": "/etc/programs",
            "ISOLATION": "user",
            "ISOLATION_UID": "70000",
            "NETWORK": "none",
            "MAX_OPEN_FILES": "64",
            "ENV_PASSTHROUGH": "MODEL_DIR,_X1",
            "LOG_FORMAT": "json",
            "TMPDIR": "/scratch",
        }
    )
    assert settings == WorkerSettings(
        api_url="https://host/queue/api/v1",
        ca_file=Path("/etc/ca.pem"),
        api_token="word",
        api_token_file=Path("/run/token"),
        executor_id="wörker:1",
        slots=7,
        prefetch=3,
        job_timeout_seconds=3600,
        kill_grace_seconds=0,
        drain_seconds=2.5,
        on_lease_loss="finish",
        cache_directory=Path("/cache"),
        cache_max_bytes=0,
        spool_directory=Path("/spool"),
        max_binary_bytes=1000,
        download_timeout_seconds=60,
        download_retry_seconds=7.5,
        trusted_keys=(PublicKey(bytes(range(32))),) * 2,
        binary_hosts=HOSTS,
        allowed_binary_hosts=(),
        binary_networks="public",
        allowed_sha256_file=Path("/etc/programs"),
        isolation="user",
        isolation_uid=70000,
        network="none",
        max_open_files=64,
        env_passthrough=("MODEL_DIR", "_X1"),
        log_format="json",
        temporary_directory=Path("/scratch"),
    )
    assert settings.download == DownloadRules(
        1000, 60, HOSTS, retry_seconds=7.5, addresses=AddressRules(only_public=True)
    )


def test_the_older_name_of_a_setting_still_counts() -> None:
    assert config.load({"ALLOWED_BINARY_HOSTS": ", ".join(HOSTS)}).download == DownloadRules(allowed_hosts=HOSTS)
    both = {"BINARY_HOSTS": "a.org", "ALLOWED_BINARY_HOSTS": "a.org"}
    assert config.load(both).download.allowed_hosts == ("a.org",)
    with pytest.raises(InvalidSetting, match=r"^BINARY_HOSTS and ALLOWED_BINARY_HOSTS.*differ"):
        config.load(both | {"BINARY_HOSTS": "b.org"})


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("SLOTS", "0"),
        ("SLOTS", "1001"),
        ("SLOTS", "two"),
        ("JOB_TIMEOUT_SECONDS", "0"),
        ("KILL_GRACE_SECONDS", "-1"),
        ("DRAIN_SECONDS", "soon"),
        ("ON_LEASE_LOSS", "kill"),
        ("CACHE_DIR", "cache"),
        ("CACHE_MAX_BYTES", "5 GiB"),
        ("SPOOL_DIR", "~/spool"),
        ("MAX_BINARY_BYTES", "0"),
        ("DOWNLOAD_TIMEOUT_SECONDS", "0"),
        ("DOWNLOAD_RETRY_SECONDS", "-1"),
        ("BINARY_HOSTS", "::1"),
        ("BINARY_HOSTS", "host:0"),
        ("BINARY_HOSTS", "host:65536"),
        ("BINARY_HOSTS", "user@host"),
        ("BINARY_NETWORKS", "private"),
        ("ALLOWED_BINARY_HOSTS", "http://host"),
        ("ALLOWED_BINARY_HOSTS", "host/path"),
        ("ALLOWED_BINARY_HOSTS", "*"),
        ("ALLOWED_BINARY_HOSTS", "a.*.org"),
        ("ALLOWED_BINARY_HOSTS", ","),
        ("ISOLATION", "docker"),
        ("ISOLATION_UID", "0"),
        ("NETWORK", "bridge"),
        ("MAX_OPEN_FILES", "3"),
        ("ENV_PASSTHROUGH", "A B"),
        ("ENV_PASSTHROUGH", "1A"),
        ("ENV_PASSTHROUGH", "A=1"),
        ("TMPDIR", "tmp"),
    ],
)
def test_a_wrong_value_is_refused_with_the_name_of_the_setting(name: str, text: str) -> None:
    with pytest.raises(InvalidSetting, match=rf"^{name} is .*, but must be "):
        config.load({name: text})


def test_by_default_there_is_a_slot_for_each_usable_processor() -> None:
    script = "import os, sys\nos.sched_setaffinity(0, {min(os.sched_getaffinity(0))})\n"
    script += "from jobqueue.worker import config\nprint(config.load({}).slots)"
    assert output_of(script) == "1\n"


def test_an_empty_variable_means_the_default() -> None:
    settings = config.load({"API_URL": "", "EXECUTOR_ID": " "})
    assert settings.api_url == "http://127.0.0.1:8080/api/v1"
    assert str(os.getpid()) in settings.executor_id


@pytest.mark.parametrize("url", ["host:8080", "ftp://host", "http://", "/api/v1", "http://host:99999", "redis://host"])
def test_a_wrong_api_url_is_refused(url: str) -> None:
    with pytest.raises(InvalidSetting, match=r"^API_URL is .*, but must be a URL that starts with http:// or https://"):
        config.load({"API_URL": url})


@pytest.mark.parametrize(
    "name",
    ["two words", "x" * 129, "tab\tbed", "bell\a", "line\nbreak", "zero\u200bwidth", "a\ufe0f", "a\u3164", "a\ufffd"],
)
def test_a_wrong_executor_id_is_refused(name: str) -> None:
    with pytest.raises(InvalidSetting, match=r"^EXECUTOR_ID is .*, but must be 1 to 128 printable characters"):
        config.load({"EXECUTOR_ID": name})


def test_the_longest_executor_id_is_read() -> None:
    assert config.load({"EXECUTOR_ID": "x" * 128}).executor_id == "x" * 128


def test_a_password_in_the_api_url_is_not_shown() -> None:
    with pytest.raises(InvalidSetting) as caught:
        config.load({"API_URL": "ftp://user:canary@host"})
    assert "canary" not in str(caught.value)


def test_a_worker_with_a_wrong_setting_ends_with_one_sentence() -> None:
    command, variables = [sys.executable, "worker.py"], {"API_URL": "ftp://host"}
    ended = subprocess.run(command, cwd=ROOT, env=variables, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr == "API_URL is 'ftp://host', but must be a URL that starts with http:// or https://.\n"


def test_the_token_is_not_passed_on_to_programs() -> None:
    with pytest.raises(InvalidSetting, match="ENV_PASSTHROUGH"):
        config.load({"API_TOKEN": "canary", "ENV_PASSTHROUGH": "HOME,API_TOKEN"})


def test_the_token_is_not_shown_with_the_settings() -> None:
    assert "canary" not in repr(config.load({"API_TOKEN": "canary"}))


def test_trusted_keys_may_be_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "keys").write_text(f"# ours\n{KEY}\n")
    assert config.load({"TRUSTED_KEYS": str(tmp_path / "keys")}).trusted_keys == (KEY,)


@pytest.mark.parametrize("text", ["", " ", ",", "canary", "ed25519:canary", "/no/such/file", "/dev/null"])
def test_keys_that_cannot_be_used_do_not_mean_that_anybody_is_trusted(text: str) -> None:
    with pytest.raises(InvalidSetting, match=r"^TRUSTED_KEYS ") as caught:
        config.load({"TRUSTED_KEYS": text})
    assert "canary" not in str(caught.value)
