"""What the end of an input validator or an output validator means, and what becomes of one that does not work."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from balancer.core.metrics import EndpointStats
from balancer.pipeline.report.headline import troubles
from balancer.pipeline.results.problem_log import CaseState
from balancer.pipeline.results.problem_result import ProblemResult, result_of
from balancer.pipeline.results.run_result import collect, settle
from balancer.pipeline.round.shell import judge_problem
from balancer.problem import Checker, Verdict
from balancer.program import Execution, Executor, Program, Status
from tests.unit.pipeline.bench import Bench, End, end_of, judged, make_problem
from tests.unit.pipeline.fakes import DOWN, FakeExecutor
from tests.unit.pipeline.programs import PROGRAMS, finished

COMPILER = b"check.cpp: In function 'int main()':\ncheck.cpp:3:5: error: 'x' was not declared in this scope\n 3 | x\n"
BROKEN = Execution(Status.COMPILE_ERROR, stderr=COMPILER)
CRASH = Execution(Status.FINISHED, exit_code=-11)
CHECKER = Checker(Program("python", "check output", "check output"))

Said = Callable[[bytes], Execution]


With = Callable[..., Bench]
Program_ = Callable[[bytes, Mapping[str, bytes]], Execution]


@pytest.fixture
def bench_with(tmp_path, monkeypatch):
    """Return what makes a bench whose problem has an input validator that says what it is told to."""

    def made(says: Said, **changes: Any) -> Bench:
        monkeypatch.setitem(PROGRAMS, "says", lambda data, files: says(data))
        return Bench(tmp_path / "run", make_problem(**{"validators": ["says"], **changes}))

    return made


@pytest.fixture
def modern(tmp_path):
    """Where it ends with a validator that knows 42 and 43."""
    return judged(Bench(tmp_path / "modern"))


def kept(bench: Bench) -> End:
    """Return what is in the folder."""
    with bench.open({}) as sample:
        return end_of(sample.store, bench.problem)


def found(bench: Bench) -> ProblemResult:
    with bench.open({}) as sample:
        return result_of(sample.store.of(bench.problem.id), bench.problem)


def told(bench: Bench, executors: Mapping[str, Executor] | None = None) -> list[str]:
    """Judge, and return what was said at once."""
    lines: list[str] = []
    with bench.open(executors or {"a": FakeExecutor(), "b": FakeExecutor()}) as sample:
        sample.progress.say = lines.append
        sample.__post_init__()
        judge_problem(sample)
    return lines


def well(data: bytes) -> Execution:
    return PROGRAMS["check input"](data, {})


def unless_even(odd: Execution) -> Said:
    return lambda data: odd if data.isdigit() and int(data) % 2 else well(data)


# -- one input -----------------------------------------------------------------------------------------


def aborted(words: bytes) -> Execution:
    return replace(finished(code=-6), stderr=words)


@pytest.mark.parametrize(
    "odd",
    [
        CRASH,
        finished(code=7),
        Execution(Status.MEMORY_LIMIT, exit_code=-9),
        Execution(Status.OUTPUT_LIMIT, exit_code=-9),
        Execution(Status.TIME_LIMIT, time_s=20.0, cpu_measured=True),
        aborted(b"terminate called after throwing an instance of 'std::bad_alloc'\n  what():  std::bad_alloc\n"),
        aborted(b"v: malloc.c:2401: sysmalloc: Assertion `(old_top == initial_top (av) && old_size == 0)' failed.\n"),
        aborted(b"c++/12/bits/stl_vector.h:1125: operator[](size_type): Assertion '__n < this->size()' failed.\n"),
    ],
)
def test_an_odd_end_refuses_nothing(bench_with, odd):
    """It crashes on odd numbers, and knows 43: only 43 refuses."""
    bench = bench_with(unless_even(odd), own=[2, 4])
    end = judged(bench)
    assert all(n > 50 and n % 2 == 0 for n in end.inputs(CaseState.INVALID))
    lost = CaseState.UNJUDGED if odd.status is Status.TIME_LIMIT else CaseState.UNCHECKED
    assert end.inputs(lost)
    assert all(n % 2 for n in end.inputs(lost))
    assert all(n % 2 == 0 for n in end.inputs(CaseState.READY))
    assert found(bench).troubles == ()


@pytest.mark.parametrize(
    "odd",
    [
        aborted(b"program: v.cpp:37: int main(): Assertion `doors == 1' failed.\n"),
        replace(
            finished(code=1), stderr=b"Traceback\n  File 'v.py', line 7\n    assert doors == 1\nAssertionError: doors\n"
        ),
    ],
    ids=["C++", "Python"],
)
def test_a_failed_assertion_refuses_if_the_validator_answers_on_known_inputs(bench_with, odd):
    """It refuses nonsense by 43, and odd numbers by an assertion: these are refused, and not run again."""
    seen: list[bytes] = []

    def says(data: bytes) -> Execution:
        seen.append(data)
        return unless_even(odd)(data)

    bench = bench_with(says, own=[2, 4])
    end = judged(bench)
    refused = end.inputs(CaseState.INVALID)
    assert {n % 2 for n in refused if n <= 50} == {1}
    assert end.inputs(CaseState.UNCHECKED) == []
    odds = [data for data in seen if data.isdigit() and int(data) % 2]
    assert len(odds) <= len(set(odds)) + 1 + bench.workers, "only the first ones ran again"


def test_inputs_that_nobody_checked_are_counted_apart_and_take_no_place(bench_with):
    bench = bench_with(unless_even(CRASH), own=[2, 4])
    bench = Bench(bench.folder, bench.problem, max_proposals=60)
    end = judged(bench)
    assert len(end.inputs(CaseState.READY)) == 2 + bench.max_inputs, "as many as are wanted, in spite of the crashes"
    result = found(bench)
    assert result.unchecked == len(end.inputs(CaseState.UNCHECKED))
    assert result.unjudged == 0
    assert any(
        "neither valid nor refused: says did not decide whether it is valid: exit code -11" in n for n in result.notes
    )
    assert judged(bench, {"a": FakeExecutor(always=CRASH)}) == end, "a complete run runs nothing"


def test_what_a_validator_printed_is_kept(bench_with):
    words = b"Traceback\n  File 'v.py', line 7\n    assert n <= 50\nAssertionError: n is large\n"

    def says(data: bytes) -> Execution:
        end = well(data)
        if end.exit_code == 42:
            return end
        odd = data[-1:] in b"13579"
        return Execution(
            Status.FINISHED, stdout=words if odd else b"", stderr=b"" if odd else b"line 1: n", exit_code=43
        )

    bench = bench_with(says)
    judged(bench)
    with bench.open({}) as sample:
        notes = {int(c.data) % 2: c.note for c in sample.store.of("doubling").cases(CaseState.INVALID)}
    assert notes[0] == "says refuses it: line 1: n"
    assert notes[1] == "says refuses it: File 'v.py', line 7 / assert n <= 50 / AssertionError: n is large"


# -- endpoints -----------------------------------------------------------------------------------------


def at(name: str, says: Execution) -> FakeExecutor:
    """Return an endpoint where the validator ends as told, and all else as it should."""
    return FakeExecutor(
        lambda program, data, files: says if program.source == name else PROGRAMS[program.source](data, files)
    )


def stats(bench: Bench, executors: Mapping[str, Executor]) -> dict[str, EndpointStats]:
    with bench.open(executors) as sample:
        judge_problem(sample)
        pool = sample.runner._pool
        return {each.name: each for each in pool.stats().endpoints}


@pytest.mark.parametrize("odd", [BROKEN, CRASH, finished(code=127)])
def test_an_endpoint_where_it_does_not_work_costs_nothing_and_is_told_to_the_pool(tmp_path, odd):
    """The issue: a slot that ran 58 of 62 leases in 0 s refused 58 inputs, 26 of them valid."""
    undisturbed = judged(Bench(tmp_path / "undisturbed"))
    bench = Bench(tmp_path / "one bad", workers=1)
    ends = stats(bench, {"bad": at("check input", odd), "b": FakeExecutor(), "c": FakeExecutor()})
    assert kept(bench) == undisturbed
    assert found(bench).troubles == ()
    assert ends["bad"].failures >= 3, "all but the first were told"
    assert ends["b"].failures == ends["c"].failures == 0


def test_a_validator_that_crashes_everywhere_makes_no_endpoint_suspect(bench_with):
    bench = bench_with(unless_even(CRASH), own=[2, 4])
    ends = stats(bench, {"a": FakeExecutor(), "b": FakeExecutor()})
    assert ends["a"].failures == ends["b"].failures == 0


# -- validators older than 42 and 43 -------------------------------------------------------------------


def test_one_that_accepts_with_0_is_understood(bench_with, modern):
    bench = bench_with(lambda data: finished(code=0 if well(data).exit_code == 42 else 3))
    end = judged(bench)
    for state in (CaseState.READY, CaseState.INVALID, CaseState.UNCHECKED):
        assert end.inputs(state) == modern.inputs(state)
    with bench.open({}) as sample:
        assert sample.store.of("doubling").codes["says"] == (0, frozenset({3, 43}))


@pytest.mark.parametrize("code", [1, 0, -6])
def test_one_that_accepts_with_42_and_refuses_by_a_code_of_its_own(bench_with, modern, code):
    bench = bench_with(lambda data: finished(code=42 if well(data).exit_code == 42 else code))
    end = judged(bench)
    assert end.inputs(CaseState.INVALID) == modern.inputs(CaseState.INVALID) != []
    assert end.inputs(CaseState.READY) == modern.inputs(CaseState.READY)


def test_one_that_ends_with_0_whatever_it_reads_is_not_believed(bench_with):
    bench = bench_with(lambda data: finished(code=0))
    end = judged(bench)
    assert end.inputs(CaseState.READY) == [1, 2]
    (line,) = found(bench).troubles
    assert "it ends with exit code 0 on all known inputs, but also on nonsense" in line


# -- validators that do not work -----------------------------------------------------------------------


def test_one_that_does_not_compile_is_said_first_of_all_and_in_each_session(bench_with):
    bench = bench_with(lambda data: BROKEN)
    executor = FakeExecutor()
    lines = told(bench, {"a": executor})
    ran = [program.source for program in executor.calls]
    assert ran.index("double") == ran.count("says"), "nothing is tried in vain after that"
    assert ran.count("says") <= 2 * (2 + 2 + bench.workers)
    assert lines == [
        "doubling: the input validator says is left out: it does not compile: check.cpp:3:5: error: 'x' was not "
        "declared in this scope; no made-up input is used"
    ]
    with bench.open({}) as sample:
        end = end_of(sample.store, bench.problem)
        assert end.inputs(CaseState.READY) == [1, 2], "its own data do not need a validator"
        assert end.inputs(CaseState.INVALID) == []
        sample.store.problems.meet(bench.problem, 0, "-")
        settle(sample.store, bench.problem)
        sample.store.begin_session("fifo", 1)
        assert next(troubles(collect(sample.store))) == f"{lines[0]}."
    assert told(bench) == lines, "and in each session again"


def test_the_others_decide_alone(bench_with, modern):
    bench = bench_with(lambda data: BROKEN, validators=["says", "check input"])
    (line,) = told(bench)
    assert line.endswith("; the other input validators decide")
    end = kept(bench)
    assert (end.cases, end.verdicts) == (modern.cases, modern.verdicts)


@pytest.mark.parametrize(
    "end",
    [
        CRASH,
        finished(code=1),
        Execution(Status.TIME_LIMIT, time_s=20.0, cpu_measured=True),
        aborted(b"v.cpp:2: int main(int, char**): Assertion `argc == 2' failed.\n"),
    ],
)
def test_one_that_says_nothing_of_any_known_input(bench_with, end):
    bench = bench_with(lambda data: end)
    (line,) = told(bench)
    assert "the input validator says is left out: it decided none of the 2 known inputs that it was tried on: " in line
    assert kept(bench).inputs(CaseState.READY) == [1, 2]


def test_one_in_a_language_that_no_endpoint_runs(tmp_path):
    bench = Bench(tmp_path, make_problem(languages={"check input": "ada"}))
    (line,) = told(bench)
    assert "no endpoint runs ada (they run: python)" in line
    assert kept(bench).inputs(CaseState.READY) == [1, 2]


# -- output validators ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("end", "words"),
    [
        (BROKEN, "it does not compile: check.cpp:3:5: error: 'x' was not declared in this scope"),
        (CRASH, "it decided none of the 2 known answers that it was tried on: exit code -11"),
    ],
)
def test_a_checker_that_does_not_work_is_said_and_nothing_is_judged(tmp_path, monkeypatch, end, words):
    monkeypatch.setitem(PROGRAMS, "check output", lambda output, files: end)
    bench = Bench(tmp_path, make_problem(checker=CHECKER))
    executor = FakeExecutor()
    lines = told(bench, {"a": executor})
    assert lines == [f"doubling: nothing can be judged: the output validator check output: {words}"]
    assert not any(program.source in ("square", "crash at 0") for program in executor.calls), "no run in vain"
    with bench.open({}) as sample:
        assert all(v.verdict is Verdict.UNJUDGED for v in sample.store.of("doubling").verdicts().values())
        sample.store.problems.meet(bench.problem, 0, "-")
        settle(sample.store, bench.problem)
        sample.store.end_session(
            sample.store.begin_session("fifo", 1), sample.runner._pool.stats().to_dict(), complete=True
        )
        result = collect(sample.store)
    assert not result.complete, "so the exit code is 3"
    assert next(troubles(result)) == f"{lines[0]}."


def test_a_checker_that_works_at_one_endpoint_alone_is_not_given_up(tmp_path):
    bench = Bench(tmp_path, make_problem(checker=CHECKER), workers=1)
    end = judged(bench, {"bad": at("check output", BROKEN), "b": FakeExecutor(), "c": FakeExecutor()})
    assert end == judged(Bench(tmp_path / "sound", bench.problem))


ABORTED = Execution(Status.FINISHED, stderr=b"judgeerror.txt: there is a solution\n", exit_code=-6)


def aborting(odd: Callable[[bytes, int], bool], end: Execution = ABORTED) -> Program_:
    """Return an output validator that ends with `end` on some outputs, by the output and the input."""

    def check(output: bytes, files: Mapping[str, bytes]) -> Execution:
        n = int(files["input.txt"])
        return end if odd(output, n) else finished(code=42 if output.split() == [b"%d" % (2 * n)] else 43)

    return check


def with_checker(monkeypatch: pytest.MonkeyPatch, folder: Path, check: Program_, **changes: Any) -> Bench:
    monkeypatch.setitem(PROGRAMS, "check output", check)
    return Bench(folder, make_problem(checker=CHECKER, **changes))


def test_a_made_up_case_on_which_an_output_cannot_be_judged_is_contested_once_and_for_all(tmp_path, monkeypatch):
    """Only the wrong "square" prints -1; on the package's own data that is no kill, and costs no case."""
    check = aborting(lambda output, n: output == b"-1")
    bench = with_checker(monkeypatch, tmp_path / "a", check, accepted=["double"], wrong=["square", "crash at 0"])
    end = judged(bench)
    assert end.inputs(CaseState.READY)[:2] == [1, 2]
    assert 3 <= len(end.inputs(CaseState.CONTESTED)) <= 4
    assert len(end.inputs(CaseState.READY)) > 2, "the others are judged on"
    assert end.left_out == ("square",)
    result = found(bench)
    told = result.disagreements[0]
    assert (told.submission, told.verdict) == ("square", Verdict.JUDGE_ERROR)
    assert "exit code -6): judgeerror.txt: there is a solution" in told.note
    assert any(note.startswith("judge error: square on its own 1.in: ") for note in result.notes)
    assert "could not judge its output on" in result.left_out["square"]
    assert result.unjudged == 0
    assert judged(bench, {"a": FakeExecutor(always=DOWN)}) == end, "no later session runs anything"


def test_a_checker_that_is_too_slow_or_was_not_reached_has_said_nothing(tmp_path, monkeypatch):
    """The next session judges there, and ends as one that nothing disturbed."""
    late = Execution(Status.TIME_LIMIT, time_s=20.0, cpu_measured=True)
    bench = with_checker(monkeypatch, tmp_path / "a", aborting(lambda output, n: n > 2, late))
    lost = judged(bench)
    assert lost.inputs(CaseState.CONTESTED) == []
    assert lost.inputs(CaseState.UNJUDGED)
    monkeypatch.setitem(PROGRAMS, "check output", aborting(lambda output, n: False))
    undisturbed = judged(Bench(tmp_path / "b", bench.problem))
    assert judged(bench).inputs(CaseState.READY) == undisturbed.inputs(CaseState.READY)


def test_an_accepted_one_whose_output_cannot_be_judged_on_own_data_is_left_out(tmp_path, monkeypatch):
    """The validator judges another accepted one there. Where it judges none, the case is contested."""
    monkeypatch.setitem(PROGRAMS, "wordy", lambda data, files: finished(b"the answer is %d\n" % (2 * int(data))))
    check = aborting(lambda output, n: n == 2 or output.startswith(b"the"))
    bench = with_checker(monkeypatch, tmp_path / "a", check, accepted=["wordy", "double"], wrong=["crash at 0"])
    end = judged(Bench(bench.folder, replace(bench.problem, packaged=True)))
    assert end.left_out == ("wordy",)
    assert end.inputs(CaseState.CONTESTED)[0] == 2
    assert 1 in end.inputs(CaseState.READY)
    assert "marked as accepted, but judge error on the package's own 1.in: " in found(bench).left_out["wordy"]
