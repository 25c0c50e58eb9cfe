"""What the yield counts, and what made-up inputs may know of a package."""

from balancer.pipeline.results.problem_log import CaseState
from balancer.pipeline.results.problem_result import CaseResult, ProblemResult, SubmissionResult
from balancer.problem import Origin, Verdict
from tests.benchmarks.bench_yield import (
    Own,
    copy_samples_only,
    look_at_made_up,
    sum_of,
)

AC, WA, TLE = Verdict.ACCEPTED, Verdict.WRONG_ANSWER, Verdict.TIME_LIMIT
GOOD, BAD, SLOW = "accepted/good.py", "wrong_answer/bad.py", "time_limit_exceeded/slow.py"


def case(id, generator, detail, *, state=CaseState.READY):
    return CaseResult(id, Origin(generator, detail), generator == "data", state, 10)


def submission(name, *verdicts, times_s=None):
    expected = name.partition("/")[0]
    return SubmissionResult(name, expected == "accepted", expected, dict(enumerate(verdicts, 1)), times_s or {})


def own_of(*by_all, by_samples=frozenset()):
    return Own((BAD, SLOW), by_samples, frozenset(by_all), {})


def test_the_first_case_that_kills_is_credited_and_the_rest_survives_with_a_reason():
    cases = (case(1, "data", "sample/1.in"), case(2, "mutate", "a"), case(3, "llm", "b"))
    good = submission(GOOD, AC, AC, AC)
    bad = submission(BAD, AC, WA, WA)
    slow = submission(SLOW, AC, AC, AC, times_s={1: 0.9, 2: 0.2, 3: 0.3})
    ended = {(BAD, number): number * 2.0 for number in (2, 3)}
    found = ProblemResult("p", "P", cases, (good, bad, slow), invalid=4)
    made = look_at_made_up(found, own_of(BAD, SLOW), ended, 1.0, 9.0)
    assert [(kill.submission, kill.generator, kill.after_s) for kill in made.kills] == [(BAD, "mutate", 4.0)]
    assert [*made.survivors.values()] == ["expected time_limit: its slowest run took 0.30 of the limit, in 2 cases"]
    assert made.kept_by == {"mutate": 1, "llm": 1}
    assert (made.accepted, made.kept, made.cases, made.refused) == (1, 1, 2, 4)
    total = sum_of([(own_of(BAD, SLOW), made)] * 2)
    assert (total.wrong, total.by_own, total.by_made_up, total.hit, total.seconds) == (4, 4, 2, 2, 18.0)


def test_made_up_inputs_know_neither_secret_data_nor_generators(tmp_path):
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
