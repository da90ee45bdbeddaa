"""Every header in `lua/` agrees with the code: its arguments, its refusals, the fragments that it uses."""

from __future__ import annotations

import re
from collections.abc import Sequence

import pytest

from jobqueue.job import Status, Stream
from jobqueue.queue import claims, commands, queries
from jobqueue.queue.claims import Beat, ClaimRequest
from jobqueue.queue.records.activity import NOBODY
from jobqueue.queue.refusals import REFUSALS
from jobqueue.queue.scripts import LUA, Reply, Scripts, assemble
from tests.lua.headers import FRAGMENTS, LABELS, SCRIPTS, Script, fragment, named_in, needed_by, without_comments
from tests.support.attempts import BROKEN, DONE, claim
from tests.support.bench import Bench
from tests.support.paths import ROOT

STATUSES = {*Status, "(none)"}

every_script = pytest.mark.parametrize("script", [Script.read(name) for name in SCRIPTS], ids=SCRIPTS)
every_fragment = pytest.mark.parametrize("name", FRAGMENTS)


@every_script
def test_a_header_has_every_line_in_order(script: Script) -> None:
    assert script.sentence.startswith(f"{script.name}: ")
    assert tuple(script.header) == LABELS
    assert all(script.words(label) or script.header[label] == ["none"] for label in LABELS)


@every_script
def test_a_header_names_changes_between_known_statuses(script: Script) -> None:
    if script.words("STATUSES"):
        changes = [change.split(" -> ") for change in " ".join(script.words("STATUSES")).split(", ")]
        assert {status for change in changes for status in change} <= STATUSES
        assert {len(change) for change in changes} == {2}


@every_script
def test_every_key_is_built_from_the_one_root(script: Script) -> None:
    assert script.header["KEYS"] == ["1 root"]
    assert "KEYS" not in script.code


@every_script
def test_arguments_have_the_names_that_the_code_gives_them(script: Script) -> None:
    in_code = re.findall(r"(\w+) = (?:clock|tonumber)?\(?ARGV\[(\d+)\]", script.code)
    assert {int(index): name for name, index in in_code} == dict(script.numbered_arguments())
    assert len(in_code) == len(script.numbered_arguments())


@every_script
def test_the_code_loops_over_the_arguments_that_the_header_lists_for_each_job(script: Script) -> None:
    names = script.repeated_arguments()
    first = len(script.numbered_arguments()) + 1
    assert script.loops_over_arguments() == ([(first, len(names))] if names else [])


@every_script
def test_arguments_for_each_job_have_the_names_that_the_code_gives_them(script: Script) -> None:
    in_code = re.findall(r"local ((?:\w+, )+\w+) = ARGV\[\w+\], ", script.code)
    names = script.repeated_arguments()
    assert in_code == ([", ".join(names)] if len(names) > 1 else [])


@every_script
def test_errors_are_exactly_the_codes_of_a_script_s_refusals(script: Script) -> None:
    codes = set(re.findall(r"\brefuse\('([A-Z_]+)'", without_comments(assemble(LUA / f"{script.name}.lua"))))
    assert sorted(script.words("ERRORS")) == sorted(codes)


@every_script
def test_every_code_in_a_script_is_known_to_python_and_documented(script: Script) -> None:
    codes = set(re.findall(r"'([A-Z]+(?:_[A-Z]+)+) ?'", without_comments(assemble(LUA / f"{script.name}.lua"))))
    assert codes <= REFUSALS.keys()
    readme = (LUA / "README.md").read_text()
    for code in codes:
        [row] = [line for line in readme.splitlines() if line.startswith(f"| `{code}`")]
        assert re.search(rf"\b{script.name}\b", row.split("|")[2])


def test_every_refusal_that_python_knows_is_used_by_a_script() -> None:
    code = "".join(without_comments(assemble(path)) for path in LUA.glob("*.lua"))
    assert {refusal for refusal in REFUSALS if f"'{refusal}" in code} == set(REFUSALS)


@every_script
def test_uses_names_exactly_the_fragments_that_a_script_needs(script: Script) -> None:
    assert sorted(script.words("USES")) == sorted(needed_by(script.code))


@every_script
def test_a_fragment_comes_after_the_fragments_it_uses(script: Script) -> None:
    uses = list(script.words("USES"))
    for index, name in enumerate(uses):
        assert named_in(fragment(name)) - {name} <= set(uses[:index])


@every_script
def test_no_script_scans_all_keys(script: Script) -> None:
    commands = re.findall(r"redis\.p?call\('(\w+)'", assemble(LUA / f"{script.name}.lua"))
    assert commands
    assert not {"KEYS", "SCAN", "HSCAN", "SSCAN", "ZSCAN", "RANDOMKEY", "DBSIZE", "FLUSHALL"} & set(commands)


@every_fragment
def test_a_fragment_defines_its_own_name_once_and_uses_no_arguments(name: str) -> None:
    code = fragment(name)
    assert len(re.findall(rf"^local (?:function )?{name}\b", code, re.MULTILINE)) == 1
    assert "ARGV" not in code
    assert ("KEYS" in code) == (name == "keys")


def test_no_two_files_define_the_same_name() -> None:
    defined = [
        name
        for fragment_name in FRAGMENTS
        for name in re.findall(r"^local (?:function )?(\w+)", fragment(fragment_name), re.MULTILINE)
    ]
    assert len(defined) == len(set(defined))
    for script in map(Script.read, SCRIPTS):
        assert not set(re.findall(r"^local (?:function )?(\w+)", script.code, re.MULTILINE)) & set(defined)


@every_fragment
def test_every_fragment_is_used(name: str) -> None:
    assert any(name in Script.read(script).words("USES") for script in SCRIPTS)


def test_every_script_has_its_tests() -> None:
    missing = [name for name in SCRIPTS if not (ROOT / "tests" / "lua" / f"test_{name}.py").exists()]
    assert missing == []


class RecordedScripts(Scripts):
    """Scripts that record the arguments of each call."""

    def __init__(self, bench: Bench) -> None:
        super().__init__(bench.connection)
        self.calls: dict[str, Sequence[str | int]] = {}

    def call(self, name: str, *arguments: str | int) -> Reply:
        self.calls[name] = arguments
        return super().call(name, *arguments)


def test_python_passes_as_many_arguments_as_the_headers_name(bench: Bench) -> None:
    bench.scripts = scripts = RecordedScripts(bench)
    bench.commands = commands.Commands(scripts, bench.policy, bench.clock)
    bench.claims = claims.Claims(scripts, bench.policy, bench.clock)
    bench.queries = queries.Queries(scripts, bench.policy, bench.clock)
    call_every_script(bench)
    assert sorted(scripts.calls) == SCRIPTS
    for name, arguments in scripts.calls.items():
        script = Script.read(name)
        assert len(arguments) == len(script.numbered_arguments()) + 2 * len(script.repeated_arguments()), name


def call_every_script(bench: Bench) -> None:
    job_ids = bench.submit(2)
    bench.queries.list(queries.Filter(), 10, 0)
    bench.queries.get(job_ids[0])
    for finish, result in ((bench.claims.complete, DONE), (bench.claims.fail, BROKEN)):
        attempt = claim(bench)
        finish(attempt.job_id, attempt.holder, result)
    bench.submit(2)
    released = claim(bench)
    bench.claims.heartbeat_many("executor-1", [Beat(job_id, "a token") for job_id in job_ids])
    bench.claims.release(released.job_id, released.holder)
    bench.claims.claim_many(ClaimRequest("executor-1", types=["demo", "other"]))
    bench.queries.output(job_ids[0], Stream.STDOUT, 0)
    bench.commands.cancel_many(job_ids)
    bench.commands.sweep()
    bench.commands.look(["executor-1"], [[], ["demo"]])
    bench.commands.count("caller", 1000)
    bench.commands.record(NOBODY, "test")
    bench.queries.activity(10)
    bench.queries.stats()
    bench.executors()
