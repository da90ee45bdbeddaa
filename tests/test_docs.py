"""The docs are complete and true wherever a program can check: routes, settings, codes, words, keys, packages."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import fields
from enum import StrEnum
from pathlib import Path

import pytest

from jobqueue import errors, settings
from jobqueue.job import AttemptStatus, Measured, Priority, Reason, Status
from jobqueue.queue.refusals import REFUSALS
from jobqueue.queue.scripts import LUA, ROOT
from jobqueue.web import config
from jobqueue.web.config import GunicornSettings, ServerSettings
from jobqueue.web.errors import STATUSES
from jobqueue.web.factory import create_app, create_services
from jobqueue.web.openapi import PREFIX
from jobqueue.worker.config import WorkerSettings
from jobqueue.worker.failures import Failure
from jobqueue.worker.isolation.levels import LEVELS
from tests.support.paths import ROOT as HERE

LINE_LENGTH = 120
PAGES = sorted(
    page.relative_to(HERE).as_posix()
    for pattern in ("*.md", "docs/**/*.md", "lua/*.md", "benchmarks/*.md")
    for page in HERE.glob(pattern)
)
ROOTS = (HERE, HERE / "jobqueue", HERE / "jobqueue/worker", HERE / "lua")
"""Where a page's names of files and folders begin."""


def prose(document: str) -> Iterator[str]:
    """Yield the lines of a document that are neither code nor rows of a table."""
    in_code = False
    for line in (HERE / document).read_text().splitlines():
        if line.startswith("```"):
            in_code = not in_code
        elif not in_code and not line.startswith("|"):
            yield line


def words_of_sentence(document: str, beginning: str) -> list[str]:
    """Return the words in backticks of the sentence, or the cell of a table, that begins so; what is in parentheses is
    left out.
    """
    text = " ".join((HERE / document).read_text().split())
    assert text.count(beginning) == 1, f"{document} has no sentence, or several, that begin with {beginning!r}"
    sentence = re.split(r"\.(?: |$)| \|", re.sub(r"\([^)]*\)", "", text.partition(beginning)[2]))[0]
    return re.findall(r"`(\w+)`", sentence)


def first_cells(document: str, header: str) -> list[str]:
    """Return the words in backticks in the first cell of every row of the table with this header."""
    _, table_header, rest = (HERE / document).read_text().partition(header + "\n")
    assert table_header, f"{document} has no table with the header {header!r}"
    table = rest.partition("\n\n")[0].splitlines()
    return [word for row in table for word in re.findall(r"`(\w+)`", row.split("|")[1])]


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


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


def settings_in(document: str) -> dict[str, tuple[str, str]]:
    """Return the default and the meaning of every setting that a document's tables name, without backticks."""
    cells = re.findall(r"^\| `([A-Z0-9_]+)` \| ([^|]*) \| ([^|]*) \|$", rows(document), re.MULTILINE)
    return {name: (default.replace("`", ""), meaning.replace("`", "")) for name, default, meaning in cells}


def begins_with(text: str, beginning: str) -> bool:
    """Whether a cell says this, and perhaps more after it."""
    return re.match(rf"{re.escape(beginning)}(?!\w)", text) is not None


def keys() -> list[str]:
    """Return every key that lua/lib/store/keys.lua names, as the documentation writes it."""
    names_of_keys = []
    for parts in re.findall(r"root \.\. (.*?)(?: end|,?)$", (LUA / "lib/store/keys.lua").read_text(), re.MULTILINE):
        names = re.findall(r"'([^']*)'|(\w+)", parts)
        written = "".join(literal or f"<{variable}>" for literal, variable in names)
        names_of_keys.append(ROOT + written.removesuffix("<end>"))
    return names_of_keys


def test_the_routes_in_the_api_page_are_those_of_the_app() -> None:
    documented = re.findall(r"^\| `([A-Z]+ /[^`]*)` \|", rows("docs/api.md"), re.MULTILINE)
    assert sorted(documented) == sorted(routes())


def test_the_error_codes_in_the_api_page_are_those_of_the_errors() -> None:
    documented = re.findall(r"^\| `(\w+)` \| (\d+) \|", rows("docs/api.md"), re.MULTILINE)
    in_use = [(error.code, str(STATUSES[error].value)) for error in errors.JobQueueError.__subclasses__()]
    assert sorted(documented) == sorted(in_use)


@pytest.mark.parametrize(
    ("document", "settings_classes"),
    [("docs/deploy.md", [ServerSettings, GunicornSettings]), ("docs/worker.md", [WorkerSettings])],
)
def test_the_settings_in_a_page_are_those_that_are_declared(document: str, settings_classes: list[type]) -> None:
    declared = [setting for each in settings_classes for setting in settings.declared(each).values()]
    documented = settings_in(document)
    assert sorted(documented) == sorted(setting.name for setting in declared)
    for setting in declared:
        default, meaning = documented[setting.name]
        assert begins_with(default, setting.default_text), setting.name
        assert begins_with(meaning, setting.meaning), setting.name


@pytest.mark.parametrize(
    ("document", "beginning", "words"),
    [
        ("docs/api.md", "A job's `status` is", Status),
        ("docs/api.md", "An attempt's `status` is", AttemptStatus),
        ("docs/api.md", "A job waits in the queue of its `priority`:", Priority),
        ("docs/glossary.md", "| **status** |", Status),
        ("docs/glossary.md", "| **priority** |", Priority),
        ("README.md", "It waits in the queue of its priority", Priority),
    ],
)
def test_the_statuses_and_priorities_in_a_page_are_those_in_use(
    document: str, beginning: str, words: type[StrEnum]
) -> None:
    assert words_of_sentence(document, beginning) == [*words]


def test_the_reasons_in_the_api_page_are_those_in_use() -> None:
    assert sorted(first_cells("docs/api.md", "| `reason` | meaning |")) == sorted(Reason)


def test_the_reasons_in_the_page_of_the_worker_exist() -> None:
    assert set(first_cells("docs/worker.md", "| `reason` | when | `exit_code` |")) <= set(Reason)


def test_the_causes_in_the_page_of_the_worker_are_those_in_use() -> None:
    rows_of_causes = re.findall(
        r"^\| ([^|]+) \| ([^|]+) \| (fails|is released) \| `(\w+)` \|$", rows("docs/worker.md"), re.M
    )
    ends = {True: "fails", False: "is released"}
    assert rows_of_causes == [(each.value.cause, each.value.retried, ends[each.final], each.reason) for each in Failure]


def test_the_measured_fields_that_an_executor_may_report_are_in_the_api_page() -> None:
    documented = words_of_sentence("docs/api.md", "With `complete` and `fail`, send")
    assert sorted(documented) == sorted(["reason", *(field.name for field in fields(Measured))])


@pytest.mark.parametrize("name", [field.name.removesuffix("_ms") for field in fields(Measured)])
def test_a_measured_field_of_a_job_is_in_the_api_page(name: str) -> None:
    assert name in first_cells("docs/api.md", "| field | meaning |")


def test_the_levels_of_isolation_in_the_docs_are_those_in_use() -> None:
    (first, *_) = (row for row in rows("docs/isolation.md").splitlines() if row.startswith("| | "))
    assert re.findall(r"`(\w+)`", first) == [*LEVELS]
    assert words_of_sentence("docs/glossary.md", "| **isolation** |") == [*LEVELS]


@pytest.mark.parametrize("code", REFUSALS)
def test_every_refusal_is_in_the_page_about_scripts(code: str) -> None:
    assert f"| `{code}` |" in rows("lua/README.md")


def test_the_keys_in_the_page_about_scripts_are_those_in_use() -> None:
    documented = re.findall(r"^\| `(\{jobqueue\}[^`]*)` \|", rows("lua/README.md"), re.MULTILINE)
    assert sorted(documented) == sorted(keys())


@pytest.mark.parametrize("document", PAGES)
def test_every_file_and_folder_that_a_page_names_exists(document: str) -> None:
    text = (HERE / document).read_text()
    named = re.findall(r"`([\w/.-]+(?:\.(?:py|lua|md|toml)|/))`", text)
    assert [name for name in named if not any((root / name).exists() for root in ROOTS)] == []


@pytest.mark.parametrize("document", PAGES)
def test_every_link_within_the_project_leads_somewhere(document: str) -> None:
    page = HERE / document
    for link in re.findall(r"\]\((?!https?:)([^)\s]+)\)", page.read_text()):
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


@pytest.mark.parametrize("document", PAGES)
def test_the_prose_of_a_page_fits_its_lines(document: str) -> None:
    assert [line for line in prose(document) if len(line) > LINE_LENGTH and "://" not in line] == []


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


@pytest.mark.parametrize("document", PAGES)
def test_every_make_target_that_a_page_names_exists(document: str) -> None:
    targets = re.findall(r"^([\w-]+):", (HERE / "Makefile").read_text(), re.MULTILINE)
    named = re.findall(r"^make ([\w-]+)|`make(?: \w+=\S+)? ([\w-]+)`", (HERE / document).read_text(), re.MULTILINE)
    assert [name for pair in named for name in pair if name and name not in targets] == []


def test_every_log_event_that_the_docs_name_is_logged() -> None:
    source = "".join(path.read_text() for path in (HERE / "jobqueue").rglob("*.py"))
    named = {name for page in PAGES for name in re.findall(r"event=(\w+)", (HERE / page).read_text())}
    assert sorted(name for name in named if f'"{name}"' not in source and f"def {name}(" not in source) == []


def logged_as_warnings() -> set[str]:
    """Return the events that the product logs at the levels `warning` and `error`."""
    trees = [ast.parse(path.read_text()) for path in (HERE / "jobqueue").rglob("*.py")]
    calls = [node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Call) and node.args]
    events = {
        str(call.args[0].value)
        for call in calls
        if isinstance(call.func, ast.Attribute) and call.func.attr in ("warning", "error", "exception")
        if isinstance(call.args[0], ast.Constant)
    }
    return {event for event in events if re.fullmatch(r"[a-z_]+", event)}


def test_every_warning_and_error_of_the_log_is_explained() -> None:
    header = "| event | what it means | what to do |\n|---|---|---|"
    explained = {name for page in ("docs/deploy.md", "docs/worker.md") for name in first_cells(page, header)}
    source = "".join(path.read_text() for path in (HERE / "jobqueue").rglob("*.py"))
    assert sorted(logged_as_warnings() - explained) == []
    assert [name for name in sorted(explained) if f'"{name}"' not in source] == []
