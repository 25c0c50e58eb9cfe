"""Runs over packages that are not all in order: what is left out, what is told of it, and what a later session does."""

import json
import re
import tracemalloc
from collections.abc import Mapping
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from balancer.commands.run import tell_of_run
from balancer.errors import ConfigError, PackageError
from balancer.pipeline.packages.fingerprint import fingerprint
from balancer.pipeline.packages.read import read_problem
from balancer.pipeline.report import print_summary, write_report
from balancer.pipeline.results.problem_log import CaseState
from balancer.pipeline.results.run_result import RunResult
from balancer.pipeline.results.store import Store
from balancer.pipeline.running.problem_source import find_packages
from balancer.pipeline.running.run import run_pipeline
from balancer.program import Execution, Program, Status
from tests.unit.pipeline.fakes import FakeExecutor
from tests.unit.pipeline.programs import PROGRAMS, finished
from tests.unit.pipeline.test_run import CONFIG, Bench, bench

__all__ = ["bench"]

GUESS = "name: guess\ntype: interactive\n"
WHY = "problem.yaml: is an interactive problem (type: 'interactive'); only pass-fail problems with one run a case"


def add(bench: Bench, problem: str, path: str, text: str) -> Path:
    file = bench.folder / "problems" / problem / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return file


def spoken(bench: Bench) -> tuple[RunResult, list[str]]:
    said = StringIO()
    found = run_pipeline(bench.config, bench.registry, Console(file=said, width=300))
    return found, said.getvalue().splitlines()


def ran(bench: Bench) -> set[str]:
    """Return the problems that the last session ran something of."""
    with Store(bench.folder / "results") as store:
        rows = store.log.rows("SELECT DISTINCT problem FROM spans WHERE session = ?", store.sessions()[-1].id)
        return {problem for (problem,) in rows}


# -- what is left out ----------------------------------------------------------------------------------


def test_a_bad_package_is_left_out_and_named_first(bench):
    add(bench, "another", "problem.yaml", GUESS)
    found, said = spoken(bench)
    assert said[0].startswith(f"package another is left out: {WHY}")
    assert [problem.id for problem in found.problems] == ["doubling", "tripling", "zeroing"]
    assert found.complete
    assert found.summary()["packages_left_out"].keys() == {"another"}
    printed = StringIO()
    print_summary(found, Console(file=printed, width=100))
    assert printed.getvalue().startswith("Left out: another: problem.yaml: is an interactive problem")
    write_report(found, bench.folder / "results")
    page = (bench.folder / "results/report.html").read_text()
    assert page.index("Left out: another: ") < page.index('id="problems"')
    summary = json.loads((bench.folder / "results/summary.json").read_text())
    assert summary["packages_left_out"]["another"].startswith(WHY)


def test_if_no_package_can_be_read_nothing_runs_and_no_folder_is_left(bench):
    for name in ("doubling", "tripling", "zeroing"):
        add(bench, name, "problem.yaml", GUESS)
    with pytest.raises(PackageError) as caught:
        bench.run()
    assert len(caught.value.problems) == 3
    assert not (bench.folder / "results").exists()


def test_a_package_that_was_judged_may_not_change(bench):
    bench.run()
    add(bench, "tripling", "problem.yaml", GUESS)
    with pytest.raises(ConfigError, match="holds a run with other problem tripling"):
        bench.run()


# -- accepted submissions on the package's own data ----------------------------------------------------


def test_an_accepted_submission_that_fails_its_own_data_is_left_out_and_contests_nothing(bench):
    add(bench, "doubling", "submissions/accepted/slow.py", "slow from 20")
    add(bench, "doubling", "submissions/accepted/square.py", "square")
    add(bench, "doubling", "data/secret/2.ans", "50\n")
    doubling = bench.run().problems[0]
    assert [submission.name for submission in doubling.accepted] == ["accepted/add.py", "accepted/double.py"]
    assert doubling.left_out == {
        "accepted/slow.py": "marked as accepted, but time limit on the package's own secret/2.in: time limit",
        "accepted/square.py": "marked as accepted, but wrong answer on the package's own sample/1.in: "
        "token 1 (line 1): expected '2', found '-1'",
    }
    assert (len(doubling.ready), doubling.disagreements) == (2 + 4, ())


def test_if_none_passes_the_package_is_named(bench):
    add(bench, "doubling", "data/sample/1.ans", "3\n")
    found = bench.run()
    doubling = found.problems[0]
    assert "no accepted submission passes the package's own data" in doubling.notes
    assert len(doubling.left_out) == 2
    assert doubling.ready == ()
    assert found.complete, "the others were judged"
    again = bench.run()
    assert bench.calls == 0
    assert again == found


def test_if_none_can_be_run_here_that_is_what_is_told(bench):
    for name in ("double", "add"):
        (bench.folder / f"problems/doubling/submissions/accepted/{name}.py").unlink()
        add(bench, "doubling", f"submissions/accepted/{name}.rs", "fn main() {}")
    doubling = bench.run().problems[0]
    assert "no endpoint can run any of its accepted submissions" in doubling.notes
    assert doubling.left_out["accepted/add.rs"] == "no endpoint runs rust"


# -- agreement in place of a validator -----------------------------------------------------------------


def test_agreement_of_two_stands_in_for_a_validator_and_is_told(bench):
    (bench.folder / "problems/doubling/input_validators/check.py").unlink()
    doubling = bench.run().problems[0]
    assert "it has no input validator: made-up inputs count if all 2 accepted ones agree" in doubling.notes
    assert sum(not case.sample and case.state is CaseState.READY for case in doubling.cases) > 0


def test_one_accepted_submission_agrees_with_nobody(bench):
    (bench.folder / "problems/doubling/input_validators/check.py").unlink()
    add(bench, "doubling", "submissions/accepted/add.py", "square")  # it fails the package's own data
    doubling = bench.run().problems[0]
    assert [submission.name for submission in doubling.accepted] == ["accepted/double.py"]
    assert len(doubling.ready) == 2
    assert any(note.startswith("it has no input validator, and fewer than 2 ") for note in doubling.notes)


# -- what single inputs are told -----------------------------------------------------------------------


def test_each_own_input_is_used_with_its_own_flags(bench):
    add(bench, "doubling", "data/secret/test_group.yaml", "input_validator_args: [-s]\n")
    add(bench, "doubling", "data/secret/2.yaml", "args: [-x]\n")
    add(bench, "doubling", "data/secret/2.files/words.txt", "w")
    told: set[tuple[str, int, tuple[str, ...], tuple[str, ...]]] = set()

    def noting(program: Program, stdin: bytes, files: Mapping[str, bytes]) -> Execution:
        told.add((program.name.rpartition("/")[2], int(stdin), program.args, tuple(files)))
        return PROGRAMS[program.source](stdin, files)

    bench.new = lambda: FakeExecutor(noting)
    bench.write(CONFIG.replace("max_inputs = 4", "max_inputs = 0"))
    doubling = bench.run().problems[0]
    assert ("check.py", 1, (), ()) in told
    assert ("check.py", 25, ("-s", "-x"), ("words.txt",)) in told
    assert ("double.py", 1, (), ()) in told
    assert ("double.py", 25, ("-x",), ("words.txt",)) in told
    assert any("its groups have 2 different sets of validator flags" in note for note in doubling.notes)


def test_answers_are_compared_as_their_group_says(bench):
    add(bench, "doubling", "data/secret/a/test_group.yaml", "output_validator_args: [float_tolerance, '1']\n")
    add(bench, "doubling", "data/secret/a/3.in", "3\n")
    add(bench, "doubling", "data/secret/a/3.ans", "7\n")  # 6 is within the tolerance
    add(bench, "doubling", "data/secret/4.in", "4\n")
    doubling = bench.run().problems[0]
    assert doubling.left_out == {}
    assert "a/3.in" in " ".join(case.origin.detail for case in doubling.ready)


# -- the package's own generators ----------------------------------------------------------------------

RECIPES = """
data:
  secret:
    data:
      made: gen.py 20 {seed}
      stands: {in: "30", ans: "60"}
      broken: fail.py {seed}
      unknown: gen.rs {seed}
"""


def generating(program: Program, stdin: bytes, files: Mapping[str, bytes]) -> Execution:
    """Run generators as well: one prints its first argument and some of its seed."""
    if program.source == "gen":
        return finished(b"%d\n" % (int(program.args[0]) + int(program.args[1]) % 30))
    if program.source == "fail":
        return Execution(Status.FINISHED, stderr=b"ValueError: no", exit_code=1)
    return PROGRAMS[program.source](stdin, files)


def test_generators_of_a_package_make_inputs_of_other_seeds_and_those_that_fail_are_named(bench):
    bench.new = lambda: FakeExecutor(generating)
    bench.write(CONFIG + 'generators = ["data", "package"]\n')
    for name, text in (
        ("generators.yaml", RECIPES),
        ("gen.py", "gen"),
        ("fail.py", "fail"),
        ("gen.rs", "fn main() {}"),
    ):
        add(bench, "doubling", f"generators/{name}", text)
    found = bench.run()
    doubling = found.problems[0]
    made_up = [case for case in doubling.cases if not case.sample]
    assert made_up
    assert all(case.origin.detail.startswith("gen.py 20 {seed} with seed ") for case in made_up)
    told = " ".join(doubling.notes)
    assert re.search(r"fail.py \d+ does not make fail.py {seed}: exit code 1: ValueError: no", told)
    assert "does not make gen.rs {seed}: no endpoint runs rust" in told
    again = bench.run()
    assert bench.calls == 0
    assert again == found


def test_of_packages_whose_turn_has_not_come_no_data_is_kept(bench):
    add(bench, "doubling", "data/secret/3.in", "9" * 4_000_000)
    tracemalloc.start()
    try:
        kept = find_packages(bench.config.pipeline or pytest.fail("no pipeline"))
        # No block is as large as the file. The sum of all would count what threads of other tests allocate.
        assert max(trace.size for trace in tracemalloc.take_snapshot().traces) < 2_000_000
    finally:
        tracemalloc.stop()
    (doubling, *_), read = kept.packages.read, read_problem(bench.folder / "problems/doubling")
    assert [len(each.data) for each in doubling.data] == [0, 0, 0]
    assert [each.origin for each in doubling.data] == [each.origin for each in read.data]
    assert kept.fingerprints["doubling"] == fingerprint(read)


def test_a_package_that_changes_before_its_turn_is_left_and_the_others_are_judged(bench, capsys):
    bench.write(CONFIG.replace("sample_level_workers = 2", "sample_level_workers = 1"))
    file = bench.folder / "problems/zeroing/data/secret/2.in"

    def changing(program: Program, stdin: bytes, files: Mapping[str, bytes]) -> Execution:
        file.write_text("26\n")
        return PROGRAMS[program.source](stdin, files)

    bench.new = lambda: FakeExecutor(changing)
    found, said = spoken(bench)
    assert not found.complete
    line = "has changed since the run began; restore it, or use --fresh"
    (told,) = [each for each in said if "next session" in each]
    assert told == f"zeroing is left for the next session: problems/zeroing: {line}"
    assert ran(bench) == {"doubling", "tripling"}
    tell_of_run(found, Path("report.html"), bench.config, as_json=False)
    assert capsys.readouterr().out.endswith("some problems are left; the same command goes on with them\n")
    file.write_text("25\n")
    bench.new = FakeExecutor
    again, _ = spoken(bench)
    assert again.complete
    assert ran(bench) == {"zeroing"}
