"""What a report says before anybody has decided how it looks: headline, endpoints, matrix, notes."""

from dataclasses import replace
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from balancer.pipeline.report.document import notes
from balancer.pipeline.report.headline import nothing_judged, tiles, verdict, warnings
from balancer.pipeline.report.matrix import LEGEND, LETTERS, matrix_of
from balancer.pipeline.report.tables import endpoint_lines, gone_endpoints
from balancer.pipeline.results.run_result import CaseState, LeftOutRow, ProblemResult, RunResult
from balancer.problem import Verdict
from balancer.reporting.document import RowGroup, Table, Tone, cell_of, plain
from tests.unit.pipeline.report_results import case, empty_run, made_up_problem, made_up_run, submission

_A, _W, _Q = Verdict.ACCEPTED, Verdict.WRONG_ANSWER, Verdict.UNJUDGED


def _problem(**changes: object) -> ProblemResult:
    """Return a problem with 1 sample case and 2 more, on which one wrong submission dies late and one lives."""
    problem = ProblemResult(
        id="sum",
        name="Sum",
        cases=(case(0, sample=True), case(1), case(2)),
        submissions=(
            submission("good", [_A, _A, _A], accepted=True),
            submission("late", [_A, _A, _W]),
            submission("alive", [_A, _A, _A]),
        ),
    )
    return replace(problem, **changes)


def _run(*problems: ProblemResult) -> RunResult:
    return replace(empty_run(), problems=problems)


@pytest.mark.parametrize(
    ("submissions", "kept", "killed", "said"),
    [
        ({}, "1 of 1", "0 \u2192 1 of 2", "All 1 accepted submissions are kept, and 1 of 2 wrong ones are killed"),
        ({"late": [_A, _W, _A], "alive": None}, "1 of 1", "0 \u2192 1 of 1", "and all 1 wrong ones are killed"),
        ({"good": [_A, _W, _A]}, "0 of 1", "0 \u2192 1 of 2", "1 of 1 accepted submissions are rejected by a case"),
        ({"late": [_W, _Q, _Q], "alive": [_A, _Q, _A]}, "1 of 1", "1 \u2192 1 of 1",
         "1 of 2 wrong ones are killed, 1 with the problems\u2019 own data alone. 1 submission was not judged"),
        ({"good": [_A, _Q, _A]}, "not judged", "0 \u2192 1 of 2", "0 of 1 accepted submissions are kept"),
    ],
)  # fmt: skip
def test_the_headline_praises_only_what_is_known(submissions, kept, killed, said):
    runs = {"good": [_A, _A, _A], "late": [_A, _A, _W], "alive": [_A, _A, _A], **submissions}
    programs = (submission(name, found, accepted=name == "good") for name, found in runs.items() if found)
    result = _run(_problem(submissions=tuple(programs)))
    assert said in verdict(result)[0]
    shown = {tile.label: (tile.value, tile.tone) for tile in tiles(result)}
    assert (shown["Accepted kept"][0], shown["Wrong killed"][0]) == (kept, killed)
    assert (shown["Wrong killed"][1] is Tone.GOOD) == ("all 1 wrong" in said)


def test_nothing_is_praised_where_there_is_nothing():
    assert all(tile.value in ("\u2013", "0") for tile in tiles(empty_run()))
    assert next(tiles(empty_run())).tone is Tone.PLAIN


def test_whatever_weakens_the_figures_is_a_warning():
    unjudged = _problem(submissions=(submission("late", [_A, _Q, _Q]),))
    idle = _problem(id="idle", cases=(case(0, state=CaseState.CONTESTED),))
    result = replace(_run(unjudged, idle), complete=False, sessions=3)
    words = " ".join(warnings(result))
    told = ("Not complete", "3 sessions", "2 verdicts unjudged: the infrastructure failed", "idle")
    assert [part in words for part in told] == [True] * 4
    busy = _run(replace(unjudged, reasons={"the server was too busy at each try; the last server was a": 2}))
    assert "2 verdicts unjudged: the machines were too busy" in " ".join(warnings(busy))


@pytest.mark.parametrize(
    ("run", "why"),
    [
        ({"rows_left_out": 1, "left_out_rows": (LeftOutRow(3, "it has no test"),)}, "row 3 (from 0): it has no test"),
        ({"problems": (_problem(cases=(), left_out={"good": "too slow"}),)}, "sum: good: too slow"),
        ({"problems": (_problem(cases=(), submissions=(submission("x", [Verdict.COMPILE_ERROR]),)),)},
         "sum: x does not compile"),
        ({"problems": (_problem(cases=(case(0, state=CaseState.CONTESTED),)),)}, "no problem has"),
    ],
)  # fmt: skip
def test_a_run_that_judged_nothing_says_why(run, why):
    result = replace(empty_run(), complete=False, **run)
    if result.totals.counts["contested"]:
        why = "every case is contested"
    if not result.totals.counts["judged"]:
        assert why in nothing_judged(result)
    assert nothing_judged(replace(result, complete=True)) == ""


def test_who_abstains_is_not_shown_as_never_run():
    slow = replace(submission("slow", [_A, _A], accepted=True), abstained=frozenset({2}), times_s={2: 4.01})
    unasked = replace(submission("unasked", [_A, _A], accepted=True), not_asked=frozenset({2}))
    band = _matrix(_problem(submissions=(slow, unasked)))
    first, second = (cell_of(row[-1]) for row in band.groups[0].rows)
    assert (plain(first.words), first.mark) == ("t", "abstained")
    assert "abstained: met the time limit" in first.meaning
    assert "4.01 s" in first.meaning
    assert second.mark == "none"
    assert ("abstained", "t", "abstained: accepted, but too slow here") in LEGEND.entries


def test_notes_that_change_the_figures_are_warnings_and_in_the_summary():
    slow = replace(submission("slow", [_A, _A], accepted=True), abstained=frozenset({2}))
    unasked = replace(submission("unasked", [_A, _A], accepted=True), not_asked=frozenset({2}))
    killed = submission("bad", [_A, _A, _W])
    weak = _problem(
        id="weak",
        submissions=(slow, unasked, killed),
        accepted_left_out=2,
        wrong_left_out=1,
        notes=("it has no input validator: made-up inputs count if all 2 accepted ones agree",),
    )
    result = _run(_problem(), weak)
    assert list(warnings(result)) == [
        "2 accepted submissions and 1 wrong submission left out, and in no rate: the notes of the report say why.",
        "1 accepted submission abstained: too slow on made-up cases on which others agree.",
        "1 case that kills: no time was left to run all accepted submissions there.",
        "1 problem without an input validator: made-up inputs count if accepted ones agree, or not at all.",
    ]
    counts = result.summary()["counts"]
    names = ("accepted_left_out", "wrong_left_out", "abstaining", "unasked", "no_validator")
    assert [counts[name] for name in names] == [2, 1, 1, 1, 1]


def test_endpoint_lines_add_up():
    result = made_up_run(problems=2, cases=10, endpoints=3, capacity=2)
    lines = endpoint_lines(result)
    assert [line.number for line in lines] == [1, 2, 3]
    assert sum(len(line.spans) for line in lines) == len(result.spans)
    assert abs(sum(line.utilisation for line in lines) / 3 - result.utilisation) < 1e-9
    assert abs(sum(line.due for line in lines) - 1) < 1e-9


def test_leases_of_an_endpoint_that_has_left_are_not_lost():
    result = made_up_run(problems=1, cases=5, endpoints=2)
    first, second = result.pool.endpoints
    left = replace(result, pool=replace(result.pool, endpoints=(first,)))
    assert gone_endpoints(result) == {}
    assert gone_endpoints(left) == {second.url: sum(s.endpoint == second.url for s in result.spans)}


def test_endpoints_with_the_same_short_name_have_different_labels():
    result = made_up_run(problems=1, cases=5, endpoints=2)
    same = replace(result.pool.endpoints[0], url="http://" + "x" * 200 + "/a" + "y" * 200)
    lines = endpoint_lines(replace(result, pool=replace(result.pool, endpoints=(same, same))))
    assert len({line.label(28) for line in lines}) == 2
    assert all(len(line.label(28)) == 28 for line in lines)


def _matrix(problem: ProblemResult) -> Table:
    matrix = matrix_of(problem)
    assert matrix is not None
    return matrix


def _letters(group: RowGroup) -> list[list[str]]:
    """Return the letters of each row, behind its name and the number of its kills."""
    return [[plain(cell_of(each).words) for each in row] for row in group.rows]


def _columns(band: Table) -> list[tuple[int, bool, bool]]:
    """Return the number of each case of a matrix, whether it is the problem's own data, and whether it is kept."""
    numbers, letters = ([cell_of(each) for each in row[2:]] for row in band.marks)
    return [
        (int(plain(n.words)), "S" in plain(each.words), n.mark == "kept")
        for n, each in zip(numbers, letters, strict=True)
    ]


def test_a_matrix_has_a_letter_for_each_run():
    band = _matrix(_problem())
    assert set(LETTERS) == set(Verdict)
    assert len(set(LETTERS.values())) == len(Verdict)
    assert _columns(band) == [(0, True, False), (1, False, False), (2, False, True)]
    assert [(plain(group.heading), _letters(group)) for group in band.groups] == [
        ("accepted", [["good", "0", "A", "A", "A"]]),
        ("wrong", [["late", "1", "A", "A", "W"], ["alive", "0", "A", "A", "A"]]),
    ]
    first = cell_of(band.groups[1].rows[0][2]).meaning
    assert [part in first for part in ("case 0", "accepted", "12.3 ms", "data: sample/0.in")] == [True] * 4


def test_runs_that_never_were_and_programs_that_do_not_compile_are_told_apart():
    broken = submission("broken", [Verdict.COMPILE_ERROR] * 3)
    band = _matrix(_problem(submissions=(submission("short", [_A]), broken)))
    assert [cell_of(each).mark for each in band.groups[0].rows[0][2:]] == ["accepted", "none", "none"]
    assert plain(band.groups[1].heading).startswith("does not compile")
    assert ("sum", "broken", "does not compile: not counted") in _notes(_run(_problem(submissions=(broken,))))


@given(st.integers(0, 200), st.integers(0, 130))
def test_a_wide_matrix_keeps_what_tells_most(cases, most):
    problem = made_up_problem("p", Random(cases), cases=cases)
    matrix = matrix_of(problem, most=most)
    columns = _columns(matrix) if matrix else []
    assert len(columns) == min(cases, most)
    assert columns == sorted(columns)
    kept = len(problem.killers)
    assert sum(kept for *_, kept in columns) == min(kept, most)


def _notes(result: RunResult) -> list[tuple[str, ...]]:
    return [tuple(plain(each) for each in row) for row in notes(result)]


def test_a_language_that_no_endpoint_runs_is_told_once_with_what_it_costs():
    """However many submissions and problems it costs; those of rows have no names, and are counted."""
    rust, cobol = "no endpoint runs rust", "no endpoint runs cobol"
    runs = "no endpoint runs ada (they run: python)"
    first = _problem(
        id="a",
        left_out={"wrong/x.rs": rust, "wrong/y.rs": rust, "accepted/z.cob": cobol, "slow": "too slow", "v": runs},
    )
    second = _problem(id="b", left_out={"3 in rust": rust})
    result = _run(first, second)
    assert [line for line in warnings(result) if "runs on" in line] == [
        "rust runs on none of 0 endpoints: 5 submissions of 2 problems left out.",
        "cobol runs on none of 0 endpoints: 1 submission of 1 problem left out.",
    ]
    told = [note for note in _notes(result) if "left out" in note[2]]
    assert told == [("a", "slow", "left out: too slow"), ("a", "v", f"left out: {runs}")]
    assert result.summary()["languages_missing"] == {"rust": 5, "cobol": 1}


def test_of_very_many_missing_languages_the_dearest_are_told():
    result = _run(_problem(left_out={f"{n} in language {n}": f"no endpoint runs language {n}" for n in range(1, 31)}))
    told = [line for line in warnings(result) if "language" in line]
    assert len(told) == 21
    assert told[0].startswith("language 30 runs on none")
    assert "10 more languages" in told[-1]
