"""Checkers, validators and generators of rows: used as those of a package are, or left out by name."""

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from balancer.errors import ConfigError
from balancer.judging.verdict import checker_files, checker_program
from balancer.pipeline.results.problem_log import CaseState
from balancer.pipeline.rows.read import read_rows
from balancer.problem import Checker, Problem, Verdict
from balancer.program import Execution, Program
from balancer.rows.row_programs import recipes_in
from balancer.rows.schemas import problem_of
from balancer.settings.pipeline import RowSettings
from tests.patience import PATIENCE_S
from tests.unit.pipeline.bench import Bench, judged
from tests.unit.pipeline.fakes import FakeExecutor
from tests.unit.pipeline.programs import finished, pong
from tests.unit.pipeline.test_row_schemas import ROWS

# A stand-in for testlib.h, with its exit codes: 0 is right, 1 is wrong, 3 is a failure.
_HEADER = """
#include <cstdio>
#include <cstdlib>
static long number_in(const char *name) {
    FILE *file = fopen(name, "r");
    long found = -1;
    if (file == nullptr || fscanf(file, "%ld", &found) != 1) return -1;
    fclose(file);
    return found;
}
"""
_CHECKER = """#include "testlib.h"
int main(int argc, char **argv) {
    if (argc != 4 || number_in(argv[1]) < 0) return 3;
    printf("said\\n");
    return number_in(argv[2]) == number_in(argv[3]) ? 0 : 1;
}
"""
_VALIDATOR = """#include "testlib.h"
int main() { long n; if (scanf("%ld", &n) != 1 || n > 9) exit(3); }
"""


def _problem(folder: Path, row: Mapping[str, Any], **settings: Any) -> Problem:
    place = folder / "rows.jsonl"
    place.write_text(json.dumps(row) + "\n")
    ((_, read),) = read_rows(str(place), RowSettings(right="all", wrong="all", **settings), {"python", "cpp"})
    assert isinstance(read, Problem), read
    return read


def _plus(folder: Path) -> Problem:
    header = folder / "testlib.h"
    header.write_text(_HEADER)
    programs = {"checker": _CHECKER, "validator": _VALIDATOR}
    return _problem(folder, {**ROWS["code-contests-plus"], **programs}, testlib=str(header))


def _ends(folder: Path, program: Program, stdin: bytes, files: Mapping[str, bytes]) -> int:
    for name, content in {**files, **dict(program.extras), "main.cpp": program.source.encode()}.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(content)
    if not (folder / "main").exists():
        subprocess.run(["g++", "-o", "main", "main.cpp"], cwd=folder, timeout=PATIENCE_S, check=True)
    ran = subprocess.run(
        ["./main", *program.args], input=stdin, cwd=folder, capture_output=True, timeout=PATIENCE_S, check=False
    )
    return ran.returncode


@pytest.mark.more
@pytest.mark.needs("g++")
def test_programs_with_testlib_answer_like_validators_of_a_package(tmp_path):
    problem = _plus(tmp_path)
    checker = checker_program(problem.checker)
    assert checker is not None
    (validator,) = problem.input_validators
    home = tmp_path / "checker"
    home.mkdir()
    ends = [_ends(home, checker, output, checker_files(b"5\n", b"10\n")) for output in (b"10\n", b"11\n", b"")]
    assert ends == [42, 43, 43]
    assert _ends(home, checker, b"10\n", checker_files(b"no number", b"10\n")) == 3, "a failure is no judgement"
    home = tmp_path / "validator"
    home.mkdir()
    assert [_ends(home, validator, data, {}) for data in (b"5\n", b"10\n", b"")] == [42, 43, 43]


def test_the_header_is_the_users_and_is_beside_each_program_that_includes_it(tmp_path):
    problem = _plus(tmp_path)
    program = problem.checker.program
    assert program is not None
    for each in (program, *problem.input_validators, *(recipe.program for recipe in problem.recipes)):
        assert each is not None
        assert dict(each.extras)["testlib.h"] == _HEADER.encode()
    assert problem.checker.instead is not None
    assert problem.notes == ()


def test_without_the_header_they_are_named_and_not_used(tmp_path):
    problem = _problem(tmp_path, ROWS["code-contests-plus"])
    assert (problem.checker.program, problem.input_validators, problem.recipes) == (None, (), ())
    (note,) = problem.notes
    assert note.startswith("not used: checker, validator, generator (testlib.h is not named in")
    with pytest.raises(ConfigError, match=r"\[pipeline.rows\] testlib = .* cannot be read"):
        _problem(tmp_path, ROWS["code-contests-plus"], testlib=str(tmp_path / "none"))


def test_the_commands_of_a_generator_get_a_seed():
    row = problem_of({**ROWS["code-contests-plus"], "generator_cmd": "./gen -n 5 > a\n\n-big\n./gen 'a b' -deep"})
    recipes = list(recipes_in(row, b""))
    wanted = [("-n", "5", "{seed}"), ("-big", "-seed={seed}"), ("a b", "-deep", "-seed={seed}")]
    assert [recipe.args for recipe in recipes] == wanted
    row = problem_of({**ROWS["code-contests-o"], "commands": ["./gen -n 5", None]})
    assert [recipe.args for recipe in recipes_in(row, b"")] == [("-n", "5", "{seed}")]


@pytest.mark.parametrize(
    ("output", "ends"), [(b"10", 42), (b"11", 43), (b"", 43), (b"1 2 3", 1)], ids=["right", "wrong", "empty", "crash"]
)
def test_a_checker_that_prints_a_score(output, ends, tmp_path):
    source = """import sys
def main(given, right, output):
    found = open(output).read().split()
    if len(found) == 3:
        raise ValueError
    print("so:", 1 if found == open(right).read().split() else 0)
    sys.exit(0)
main(*sys.argv[1:])"""
    right = [{"language": "python", "source": "print(2 * int(input()))"}]
    problem = _problem(tmp_path, {**ROWS["codeforces"], "generated_checker": source, "right": right})
    program = checker_program(problem.checker)
    assert program is not None
    for name, content in checker_files(b"5", b"10").items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(content)
    command = [sys.executable, "-I", "-S", "-c", program.source, *program.args]
    ran = subprocess.run(command, input=output, cwd=tmp_path, capture_output=True, timeout=PATIENCE_S, check=False)
    assert ran.returncode == ends


# -- through the pipeline ------------------------------------------------------------------------------


class _World:
    """Runs the programs of a row in memory: outputs are right if they have the sign of the answer."""

    def __init__(self, *, broken: bool = False) -> None:
        self.broken = broken

    def answer(self, program: Program, stdin: bytes, files: Mapping[str, bytes]) -> Execution:
        if program.name == "ping":
            return pong(stdin)
        if program.name.startswith("row/"):
            return finished(code=42 if stdin.strip().isdigit() and not self.broken else 43)
        return finished(b"-1" if program.name.startswith("wrong") else b"%d" % (len(program.source) + int(stdin)))


def _judged(folder: Path, world: _World) -> tuple[Bench, dict[str, set[Verdict]], tuple[str, ...]]:
    right = [{"code": f"right{' ' * number}#", "language": "py3"} for number in range(3)]
    wrong = [{"code": "wrong", "language": "py3"}]
    header = folder / "testlib.h"
    header.write_text("")
    row = {**ROWS["code-contests-plus"], "correct_submissions": right, "incorrect_submissions": wrong}
    bench = Bench(folder / "results", _problem(folder, row, testlib=str(header)))
    executor = FakeExecutor(world.answer, languages=("python", "cpp"))
    end = judged(bench, {"a": executor, "b": FakeExecutor(world.answer, languages=("python", "cpp"))})
    found: dict[str, set[Verdict]] = {}
    for name, _, verdict in end.verdicts:
        found.setdefault(name, set()).add(verdict)
    assert CaseState.READY in {case[5] for case in end.cases} or world.broken
    return bench, found, end.left_out


def test_a_checker_and_a_validator_of_a_row_decide(tmp_path):
    _, found, left_out = _judged(tmp_path, _World())
    assert left_out == ()
    assert found == {
        **{f"right/{number}.py": {Verdict.ACCEPTED} for number in range(3)},
        "wrong/0.py": {Verdict.WRONG_ANSWER},
    }


def test_a_checker_that_refuses_the_answers_of_its_row_is_left_out(tmp_path):
    bench, _, left_out = _judged(tmp_path, _World(broken=True))
    assert set(left_out) >= {"row/checker", "row/validator"}
    with bench.open({"a": FakeExecutor(_World().answer, languages=("python", "cpp"))}) as sample:
        assert sample.known.checker == Checker(None, bench.problem.checker.instead or ())
        assert sample.validators.programs() == ()
        why = sample.store.of(bench.problem.id).left_out["row/checker"]
    assert why == "it ends with exit code 43 instead of exit code 42 on the output of the known test 'private 1'"
