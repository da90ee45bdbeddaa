"""Every header in `lua/` says what the code does: its arguments, its refusals, the fragments it uses."""

from __future__ import annotations

import re
from collections.abc import Sequence

import pytest

from jobqueue.job import Status, Stream
from jobqueue.queue import commands, queries
from jobqueue.queue.scripts import LUA, REFUSALS, Reply, Scripts, assemble
from tests.lua.headers import FRAGMENTS, LABELS, SCRIPTS, Script, fragment, named_in, needed_by, without_comments
from tests.support.attempts import BROKEN, DONE, claim
from tests.support.bench import Bench

STATES = {*Status, "(none)"}

every_script = pytest.mark.parametrize("script", [Script.read(name) for name in SCRIPTS], ids=SCRIPTS)
every_fragment = pytest.mark.parametrize("name", FRAGMENTS)


@every_script
def test_a_header_has_every_line_in_order(script: Script) -> None:
    assert script.sentence.startswith(f"{script.name}: ")
    assert tuple(script.header) == LABELS
    assert all(script.words(label) or script.header[label] == ["none"] for label in LABELS)


@every_script
def test_states_are_moves_between_known_states(script: Script) -> None:
    if script.words("STATES"):
        moves = [move.split(" -> ") for move in " ".join(script.words("STATES")).split(", ")]
        assert {state for move in moves for state in move} <= STATES
        assert {len(move) for move in moves} == {2}


@every_script
def test_every_key_is_built_from_the_one_root(script: Script) -> None:
    assert script.header["KEYS"] == ["1 root"]
    assert "KEYS" not in script.code


@every_script
def test_arguments_have_the_names_that_the_code_gives_them(script: Script) -> None:
    in_code = re.findall(r"(\w+) = (?:clock|tonumber)?\(?ARGV\[(\d+)\]", script.code)
    assert {int(place): name for name, place in in_code} == dict(script.numbered_arguments())
    assert len(in_code) == len(script.numbered_arguments())


@every_script
def test_what_comes_again_for_each_job_has_the_names_that_the_code_gives_it(script: Script) -> None:
    names = script.repeated_arguments()
    if names == ["job_id"]:
        assert f"for index = {len(script.numbered_arguments()) + 1}, #ARGV do" in script.code
    elif names:
        assert f"local {', '.join(names)} = ARGV[first], " in script.code
        assert f"local FIELDS = {len(names)}\n" in script.code


@every_script
def test_errors_are_exactly_the_codes_it_can_refuse_with(script: Script) -> None:
    codes = set(re.findall(r"\brefuse\('([A-Z_]+)'", without_comments(assemble(LUA / f"{script.name}.lua"))))
    assert sorted(script.words("ERRORS")) == sorted(codes)


@every_script
def test_every_code_it_speaks_of_is_known_to_python_and_written_down(script: Script) -> None:
    spoken = set(re.findall(r"'([A-Z]+(?:_[A-Z]+)+) ?'", without_comments(assemble(LUA / f"{script.name}.lua"))))
    assert spoken <= REFUSALS.keys()
    readme = (LUA / "README.md").read_text()
    for code in spoken:
        [row] = [line for line in readme.splitlines() if line.startswith(f"| `{code}`")]
        assert re.search(rf"\b{script.name}\b", row.split("|")[2])


def test_every_refusal_that_python_knows_is_spoken() -> None:
    code = "".join(without_comments(assemble(path)) for path in LUA.glob("*.lua"))
    assert {refusal for refusal in REFUSALS if f"'{refusal}" in code} == set(REFUSALS)


@every_script
def test_uses_names_exactly_the_fragments_it_needs(script: Script) -> None:
    assert sorted(script.words("USES")) == sorted(needed_by(script.code))


@every_script
def test_a_fragment_comes_after_those_it_uses(script: Script) -> None:
    uses = list(script.words("USES"))
    for place, name in enumerate(uses):
        assert named_in(fragment(name)) - {name} <= set(uses[:place])


@every_script
def test_nothing_looks_through_all_keys(script: Script) -> None:
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
def test_no_fragment_is_left_over(name: str) -> None:
    assert any(name in Script.read(script).words("USES") for script in SCRIPTS)


def test_every_script_has_its_tests() -> None:
    missing = [name for name in SCRIPTS if not (LUA.parent / "tests" / "lua" / f"test_{name}.py").exists()]
    assert missing == []


class Overheard(Scripts):
    """Scripts that remember what they were called with."""

    def __init__(self, bench: Bench) -> None:
        super().__init__(bench.connection)
        self.calls: dict[str, Sequence[str | int]] = {}

    def call(self, name: str, *arguments: str | int) -> Reply:
        self.calls[name] = arguments
        return super().call(name, *arguments)


def test_python_hands_over_as_many_arguments_as_the_headers_name(bench: Bench) -> None:
    bench.scripts = overheard = Overheard(bench)
    bench.commands = commands.Commands(overheard, bench.policy, bench.clock)
    bench.queries = queries.Queries(overheard, bench.policy, bench.clock)
    say_everything(bench)
    assert sorted(overheard.calls) == SCRIPTS
    for name, arguments in overheard.calls.items():
        script = Script.read(name)
        assert len(arguments) == len(script.numbered_arguments()) + 2 * len(script.repeated_arguments()), name


def say_everything(bench: Bench) -> None:
    job_ids = bench.submit(2)
    bench.queries.list(queries.Filter(), 10, 0)
    bench.queries.get(job_ids[0])
    for finish, result in ((bench.commands.complete, DONE), (bench.commands.fail, BROKEN)):
        attempt = claim(bench)
        bench.commands.heartbeat(attempt.job_id, attempt.holder)
        finish(attempt.job_id, attempt.holder, result)
    bench.submit(2)
    released = claim(bench)
    bench.commands.release(released.job_id, released.holder)
    bench.queries.output(job_ids[0], Stream.STDOUT, 0)
    bench.commands.cancel_many(job_ids)
    bench.commands.sweep()
    bench.queries.stats()
    bench.queries.executors()
