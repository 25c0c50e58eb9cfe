"""What the yield counts, and what made-up inputs may know of a package."""

import json
from dataclasses import replace
from io import StringIO
from pathlib import Path
from xml.etree import ElementTree

import pytest
from rich.console import Console

from balancer.judging.pending import RunStage, Span
from balancer.pipeline.generators.search.largest import SHORTFALL
from balancer.pipeline.results.problem_result import (
    CaseResult,
    CaseState,
    Disagreement,
    ProblemResult,
    SubmissionResult,
)
from balancer.problem import Origin, Verdict
from tests.benchmarks.yield_found import Own, look_at_made_up, look_at_own, sum_of
from tests.benchmarks.yield_runs import copy_samples_only, find
from tests.benchmarks.yield_words import causes, draw, write_csv, write_json

AC, WA, TLE = Verdict.ACCEPTED, Verdict.WRONG_ANSWER, Verdict.TIME_LIMIT
GOOD, BAD, SLOW = "accepted/good.py", "wrong_answer/bad.py", "time_limit_exceeded/slow.py"


def case(id: int, generator: str, detail: str, *, state: CaseState = CaseState.READY) -> CaseResult:
    return CaseResult(id, Origin(generator, detail), generator == "data", state, 10)


def submission(name: str, *verdicts: Verdict, times_s: dict[int, float] | None = None) -> SubmissionResult:
    expected = name.partition("/")[0]
    return SubmissionResult(name, expected == "accepted", expected, dict(enumerate(verdicts, 1)), times_s or {})


def own_of(*by_all: str, by_samples: frozenset[str] = frozenset()) -> Own:
    return Own(1, (BAD, SLOW), by_samples, frozenset(by_all), {}, 0, 1.0)


def test_samples_are_told_from_secret_data() -> None:
    cases = (case(1, "data", "sample/1.in"), case(2, "data", "secret/1.in"))
    found = ProblemResult(
        "p", "P", cases, (submission(GOOD, AC, AC), submission(BAD, WA, AC), submission(SLOW, AC, TLE))
    )
    own = look_at_own(found, 2.0)
    assert (own.by_samples, own.by_all) == ({BAD}, {BAD, SLOW})
    assert not own.failing


def test_accepted_ones_that_fail_own_data_are_named() -> None:
    cases = (case(1, "data", "sample/1.in"), case(2, "data", "secret/1.in", state=CaseState.CONTESTED))
    wrong = Disagreement(2, Origin("data", "secret/1.in"), GOOD, TLE, "")
    own = look_at_own(ProblemResult("p", "P", cases, (submission(GOOD, AC),), (wrong,)), 2.0)
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
    assert [each.reason for each in made.survivors] == [
        "expected time_limit: its slowest run took 0.30 of the limit, in 2 cases"
    ]
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
    assert [each.reason for each in made.survivors] == [reason]


NO_ROOM = f"{SHORTFALL} of n (1000 of 100000)"


@pytest.mark.parametrize(
    ("name", "contested", "invalid", "note", "cause"),
    [
        (BAD, {}, 0, "", "rare corner"),
        (BAD, {}, 3, "", "relation"),
        (BAD, {}, 1, NO_ROOM, "rare corner"),
        (BAD, {3: 1, 4: 1, 5: 2}, 9, "", "contested by one"),
        (BAD, {3: 2, 4: 2}, 9, "", "relation"),
        (SLOW, {}, 0, "", "slow only"),
        (SLOW, {}, 3, NO_ROOM, "no large input"),
        (SLOW, {}, 3, "", "relation"),
        (SLOW, {3: 1}, 3, NO_ROOM, "contested by one"),
    ],
)
def test_each_survivor_has_a_cause(name: str, contested: dict[int, int], invalid: int, note: str, cause: str) -> None:
    """A case that is contested is larger than the others; one accepted submission contests it, or two do."""
    cases = [case(1, "data", "sample/1.in"), case(2, "mutate", "a")]
    cases += [replace(case(id, "mutate", "b", state=CaseState.CONTESTED), size=99) for id in contested]
    against = tuple(
        Disagreement(id, Origin("mutate", "b"), f"accepted/{number}", WA, "")
        for id, count in contested.items()
        for number in range(count)
    )
    found = ProblemResult(
        "p", "P", tuple(cases), (submission(name, AC, AC),), against, invalid=invalid, notes=(note,) * bool(note)
    )
    made = look_at_made_up(found, own_of(name), [], None, 1.0)
    assert [each.cause for each in made.survivors] == [cause]
    console = Console(width=200, file=StringIO())
    console.print(causes({"here/p": (own_of(name), made)}))
    assert "here/p: 1" in console.file.getvalue()  # type: ignore[attr-defined]  # a StringIO
    assert (made.refused, made.contested) == (invalid, len(contested))


def test_what_own_data_do_not_kill_is_no_survivor() -> None:
    found = ProblemResult("p", "P", (case(1, "data", "sample/1.in"),), (submission(BAD, AC),))
    assert not look_at_made_up(found, own_of(), [], None, 1.0).survivors


def test_files_have_what_was_found(tmp_path: Path) -> None:
    cases = (case(1, "data", "sample/1.in"), case(2, "mutate", "a"))
    spans = [Span("here", "p", RunStage.VALIDATE_SOLUTION, BAD, 2, 0.0, 3.0, "success")]
    found = ProblemResult(
        "p", "P", cases, (submission(GOOD, AC, AC), submission(BAD, AC, WA), submission(SLOW, AC, AC))
    )
    own = own_of(BAD, SLOW)
    both = {"p": (own, look_at_made_up(found, own, spans, 1.0, 9.0))}
    write_json({10.0: both, 60.0: both}, {"q": "broken"}, tmp_path / "all.json")
    write_csv(both, tmp_path / "rows.csv")
    draw({10.0: both, 60.0: both}, tmp_path / "picture.svg")
    known = json.loads((tmp_path / "all.json").read_text())
    assert known["sums"]["60.0"]["hit"] == 1
    assert known["unread"] == {"q": "broken"}
    rows = (tmp_path / "rows.csv").read_text().splitlines()
    assert rows[1] == f"p,{BAD},0,1,1,mutate,3.0,,"
    assert rows[2].startswith(f'p,{SLOW},0,1,0,,,"expected time_limit')
    assert rows[2].endswith(",slow only")
    words = "".join(ElementTree.parse(tmp_path / "picture.svg").getroot().itertext())
    assert ElementTree.parse(tmp_path / "picture.svg").getroot().tag.endswith("}svg")
    assert "var(--" not in (tmp_path / "picture.svg").read_text()
    assert not words.strip() or "seconds" in words


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
