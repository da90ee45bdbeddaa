"""What can be asked for is written down: every route, setting, error code and key, and no key that is not."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from jobqueue import errors
from jobqueue.queue.scripts import LUA, REFUSALS, ROOT
from jobqueue.web import config
from jobqueue.web.errors import STATUSES
from jobqueue.web.factory import create_app, create_services
from jobqueue.web.openapi import PREFIX

HERE = Path(__file__).parents[1]
NOT_OURS = {"PATH", "LANG", "HOME"}


def rows(document: str) -> str:
    """Return the rows of the tables of a document."""
    return "\n".join(line for line in (HERE / document).read_text().splitlines() if line.startswith("|"))


def routes() -> list[str]:
    """Return every documented route of the app as `METHOD /path/{argument}`."""
    app = create_app(create_services(config.load({})))
    paths = app.test_client().get(f"{PREFIX}/openapi.json").get_json()["paths"]
    return [
        f"{method.upper()} {path.removeprefix(PREFIX)}"
        for path, methods in paths.items()
        for method in methods
        if method != "parameters"
    ]


def settings() -> list[str]:
    """Return every environment variable that the programs read."""
    sources = [*HERE.glob("jobqueue/*/config.py"), HERE / "gunicorn.conf.py"]
    pattern = r'[("]([A-Z]+(?:_[A-Z0-9]+)+|PORT|SLOTS|ISOLATION)"'
    found = {name for source in sources for name in re.findall(pattern, source.read_text())}
    return sorted(found - NOT_OURS)


def keys() -> list[str]:
    """Return every key that lua/lib/keys.lua names, as the documentation writes it."""
    found = []
    for parts in re.findall(r"root \.\. (.*?)(?: end|,?)$", (LUA / "lib/keys.lua").read_text(), re.MULTILINE):
        names = re.findall(r"'([^']*)'|(\w+)", parts)
        written = "".join(literal or f"<{variable}>" for literal, variable in names)
        found.append(ROOT + written.removesuffix("<end>"))
    return found


def test_every_route_is_in_the_api_page() -> None:
    table = rows("docs/api.md")
    assert len(routes()) == 16
    assert [route for route in routes() if f"`{route}`" not in table] == []


@pytest.mark.parametrize("name", settings())
def test_every_setting_is_in_the_page_of_its_program(name: str) -> None:
    assert f"| `{name}` |" in rows("docs/deploy.md") + rows("docs/worker.md")


def test_the_settings_are_those_that_were_decided() -> None:
    assert set(settings()) == {
        "ALLOWED_BINARY_HOSTS",
        "API_URL",
        "CACHE_DIR",
        "CACHE_MAX_BYTES",
        "DOWNLOAD_TIMEOUT_SECONDS",
        "DRAIN_SECONDS",
        "ENV_PASSTHROUGH",
        "EXECUTOR_ID",
        "EXECUTOR_TIMEOUT_SECONDS",
        "HEARTBEAT_TIMEOUT_SECONDS",
        "ISOLATION",
        "ISOLATION_UID",
        "JOB_RETENTION_SECONDS",
        "JOB_TIMEOUT_SECONDS",
        "KILL_GRACE_SECONDS",
        "MAX_ATTEMPTS",
        "MAX_BINARY_BYTES",
        "MAX_OPEN_FILES",
        "ON_LEASE_LOSS",
        "PORT",
        "PROMETHEUS_MULTIPROC_DIR",
        "REDIS_URL",
        "SLOTS",
        "SPOOL_DIR",
        "WEB_CONCURRENCY",
    }


@pytest.mark.parametrize("error", errors.JobQueueError.__subclasses__())
def test_every_error_has_a_status_and_is_in_the_api_page(error: type[errors.JobQueueError]) -> None:
    assert f"| `{error.code}` | {STATUSES[error].value} |" in rows("docs/api.md")


@pytest.mark.parametrize("code", REFUSALS)
def test_every_refusal_is_in_the_page_about_scripts(code: str) -> None:
    assert f"| `{code}` |" in rows("lua/README.md")


def test_the_keys_in_the_page_about_scripts_are_those_in_use() -> None:
    documented = re.findall(r"^\| `(\{jobqueue\}[^`]*)` \|", rows("lua/README.md"), re.MULTILINE)
    assert len(documented) == 18
    assert sorted(documented) == sorted(keys())


def test_every_file_the_pages_name_exists() -> None:
    pages = [HERE / "README.md", HERE / "lua/README.md", *HERE.glob("docs/*.md")]
    named = {name for page in pages for name in re.findall(r"`([\w/.-]+\.(?:py|lua|md))`", page.read_text())}
    roots = [HERE, HERE / "jobqueue", HERE / "lua"]
    assert [name for name in sorted(named) if not any((root / name).exists() for root in roots)] == []


def packages() -> list[Path]:
    """Return every package of the product."""
    return sorted(path.parent for path in (HERE / "jobqueue").rglob("__init__.py"))


@pytest.mark.parametrize("package", packages(), ids=lambda path: str(path.relative_to(HERE)))
def test_a_package_lists_its_modules(package: Path) -> None:
    docstring = ast.get_docstring(ast.parse((package / "__init__.py").read_text())) or ""
    listed = re.findall(r"^(\w+): ", docstring, re.MULTILINE)
    modules = {path.stem for path in package.glob("*.py")} | {
        path.parent.name for path in package.glob("*/__init__.py")
    }
    assert sorted(listed) == sorted(modules - {"__init__"})


def test_internals_names_every_package() -> None:
    walk = (HERE / "docs/internals.md").read_text()
    named = [path.relative_to(HERE / "jobqueue").as_posix() + "/" for path in packages()[1:]]
    assert [name for name in named if name not in walk] == []
