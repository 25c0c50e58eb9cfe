"""What the yield counts, and what made-up inputs may know of a package."""

import json
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from balancer.judging.pending import RunStage, Span
from balancer.pipeline.results.problem_result import (
    CaseResult,
    CaseState,
    Disagreement,
    ProblemResult,
    SubmissionResult,
)
from balancer.problem import Origin, Verdict
from tests.benchmarks.bench_yield import (
    Own,
    copy_samples_only,
    find,
    generators,
    look_at_made_up,
    look_at_own,
    sum_of,
    table,
    write_json,
)

AC, WA, TLE = Verdict.ACCEPTED, Verdict.WRONG_ANSWER, Verdict.TIME_LIMIT
GOOD, BAD, SLOW = "accepted/good.py", "wrong_answer/bad.py", "time_limit_exceeded/slow.py"


def case(id: int, generator: str, detail: str, *, state: CaseState = CaseState.READY) -> CaseResult:
    return CaseResult(id, Origin(generator, detail), generator == "data", state, 10)


def submission(name: str, *verdicts: Verdict, times_s: dict[int, float] | None = None) -> SubmissionResult:
    expected = name.partition("/")[0]
    return SubmissionResult(name, expected == "accepted", expected, dict(enumerate(verdicts, 1)), times_s or {})


def own_of(*by_all: str, by_samples: frozenset[str] = frozenset()) -> Own:
    return Own((BAD, SLOW), by_samples, frozenset(by_all), {})


def test_samples_are_told_from_secret_data() -> None:
    cases = (case(1, "data", "sample/1.in"), case(2, "data", "secret/1.in"))
    found = ProblemResult(
        "p", "P", cases, (submission(GOOD, AC, AC), submission(BAD, WA, AC), submission(SLOW, AC, TLE))
    )
    own = look_at_own(found)
    assert (own.by_samples, own.by_all) == ({BAD}, {BAD, SLOW})
    assert not own.failing


def test_accepted_ones_that_fail_own_data_are_named() -> None:
    cases = (case(1, "data", "sample/1.in"), case(2, "data", "secret/1.in", state=CaseState.CONTESTED))
    wrong = Disagreement(2, Origin("data", "secret/1.in"), GOOD, TLE, "")
    own = look_at_own(ProblemResult("p", "P", cases, (submission(GOOD, AC),), (wrong,)))
    assert own.failing == {GOOD: "time_limit on secret/1.in"}


def test_the_first_case_that_kills_is_credited_and_the_rest_survives_with_a_reason() -> None:
    cases = (case(1, "data", "sample/1.in"), case(2, "mutate", "a"), case(3, "llm", "b"))
    good = submission(GOOD, AC, AC, AC)
    bad = submission(BAD, AC, WA, WA)
    slow = submission(SLOW, AC, AC, AC, times_s={1: 0.9, 2: 0.2, 3: 0.3})
    spans = [
        Span("here", "p", RunStage.VALIDATE_SOLUTION, BAD, number, 0.0, number * 2.0, "success") for number in (2, 3)
    ]
    found = ProblemResult("p", "P", cases, (good, bad, slow), invalid=4)
    made = look_at_made_up(found, own_of(BAD, SLOW), spans, 1.0, 9.0)
    assert [(kill.submission, kill.generator, kill.after_s) for kill in made.kills] == [(BAD, "mutate", 4.0)]
    assert [*made.survivors.values()] == ["expected time_limit: its slowest run took 0.30 of the limit, in 2 cases"]
    assert made.kept_by == {"mutate": 1, "llm": 1}
    assert (made.accepted, made.kept, made.cases, made.refused) == (1, 1, 2, 4)
    total = sum_of([(own_of(BAD, SLOW), made)] * 2)
    assert (total.wrong, total.by_own, total.by_made_up, total.hit, total.seconds) == (4, 4, 2, 2, 18.0)


@pytest.mark.parametrize(
    ("cases", "verdicts", "reason"),
    [
        ((), (AC,), "no made-up input became a case: 7 refused, 0 contested"),
        ((case(2, "mutate", "a"),), (AC, AC), "never differed in 1 cases"),
        (
            (case(2, "mutate", "a", state=CaseState.REPLACED), case(3, "mutate", "b")),
            (AC, AC, AC),
            "never differed in 2 cases",
        ),
        ((case(2, "mutate", "a"),), (AC, Verdict.UNJUDGED), "not judged on every case: no reason given"),
    ],
)
def test_reasons(cases: tuple[CaseResult, ...], verdicts: tuple[Verdict, ...], reason: str) -> None:
    found = ProblemResult("p", "P", (case(1, "data", "sample/1.in"), *cases), (submission(BAD, *verdicts),), invalid=7)
    made = look_at_made_up(found, own_of(BAD), [], None, 1.0)
    assert [*made.survivors.values()] == [reason]


def test_what_own_data_do_not_kill_is_no_survivor() -> None:
    found = ProblemResult("p", "P", (case(1, "data", "sample/1.in"),), (submission(BAD, AC),))
    assert not look_at_made_up(found, own_of(), [], None, 1.0).survivors


def test_tables_and_the_file_have_what_was_found(tmp_path: Path) -> None:
    cases = (case(1, "data", "sample/1.in"), case(2, "mutate", "a"))
    spans = [Span("here", "p", RunStage.VALIDATE_SOLUTION, BAD, 2, 0.0, 3.0, "success")]
    found = ProblemResult(
        "p", "P", cases, (submission(GOOD, AC, AC), submission(BAD, AC, WA), submission(SLOW, AC, AC))
    )
    own = own_of(BAD, SLOW)
    both = {"p": (own, look_at_made_up(found, own, spans, 1.0, 9.0))}
    write_json(both, {"q": "broken"}, tmp_path / "all.json")
    known = json.loads((tmp_path / "all.json").read_text())
    assert known["sum"]["hit"] == 1
    assert known["unread"] == {"q": "broken"}
    assert known["packages"]["p"]["made_up"]["kills"] == [{"submission": BAD, "generator": "mutate", "after_s": 3.0}]
    console = Console(width=200, file=StringIO())
    console.print(table(both, "title"), generators(both))
    assert isinstance(console.file, StringIO)
    words = console.file.getvalue()
    assert "1 of 2" in words
    assert "mutate" in words


def test_made_up_inputs_know_neither_secret_data_nor_generators(tmp_path: Path) -> None:
    package = tmp_path / "problem"
    for name in (
        "data/sample/1.in",
        "data/secret/1.in",
        "data/secret/group/2.in",
        "generators/gen.py",
        "submissions/a.py",
    ):
        file = package / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("x")
    (package / "data/sample/2.in").symlink_to("../secret/1.in")
    (package / "data/sample/3.in").symlink_to("nowhere")
    (package / "data/secret.zip").write_text("x")
    copy_samples_only(package, tmp_path / "copy")
    left = sorted(str(file.relative_to(tmp_path / "copy")) for file in (tmp_path / "copy").rglob("*") if file.is_file())
    assert left == ["data/sample/1.in", "data/sample/2.in", "submissions/a.py"]
    assert not (tmp_path / "copy/data/sample/2.in").is_symlink()


def test_packages_are_found_in_folders_of_folders_and_the_broken_are_named(tmp_path: Path) -> None:
    for name in ("archive/one", "archive/deep/two", "archive/one/inner"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "problem.yaml").write_text("name: [")
    found = find([tmp_path / "archive"])
    assert [each.label for each in found] == ["archive/deep/two", "archive/one"]
    assert all(each.problem is None and "problem.yaml" in each.why_not for each in found)
