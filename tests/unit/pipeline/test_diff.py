"""What two runs over the same problems differ in, and how it is told."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from balancer.commands.results import differ, difference_lines, write_again
from balancer.errors import ConfigError
from balancer.pipeline.results.problem_log import CaseState, ProposalBatch
from balancer.pipeline.results.run_result import settle
from balancer.pipeline.results.store import Store
from balancer.problem import Origin, Problem, Proposal, Verdict
from tests.unit.pipeline.bench import make_problem

A, W, U = Verdict.ACCEPTED, Verdict.WRONG_ANSWER, Verdict.UNJUDGED


def stored(folder: Path, runs: Mapping[str, Mapping[bytes, str]], programs: Iterable[str] = ("one", "two")) -> Path:
    """Make a run: problem -> input -> a letter for each wrong program, "A", "W" or "U"."""
    letters = {"A": A, "W": W, "U": U}
    with Store(folder) as store:
        store.describe({"kind": "packages", "problems": "-"})
        session = store.begin_session("fifo", 1)
        for number, (name, inputs) in enumerate(runs.items()):
            problem: Problem = replace(make_problem(name, accepted=("double",), wrong=tuple(programs)), id=name)
            store.problems.meet(problem, number, "print")
            store.of(name).propose(0, ProposalBatch([Proposal(data, Origin("g", "d")) for data in inputs], []))
            for case, said in enumerate(inputs.values(), 1):
                store.of(name).set_case(case, CaseState.READY, "", b"1")
                for program, letter in zip(("double", *programs), f"A{said}", strict=True):
                    store.of(name).judged(program, case, letters[letter], 0.1, "")
            settle(store, problem)
        store.end_session(session, {}, complete=True)
    return folder


def test_a_run_does_not_differ_from_its_like(tmp_path):
    runs = {"p": {b"1": "AW", b"2": "WA"}}
    found = differ(stored(tmp_path / "a", runs), stored(tmp_path / "b", {**runs}))
    assert found.same
    assert "nothing else differs" in list(difference_lines(found))


def test_each_kind_of_difference_is_told(tmp_path):
    before = stored(tmp_path / "a", {"p": {b"1": "AW", b"2": "AA"}, "gone": {b"1": "AW"}, "same": {b"1": "WW"}})
    after = stored(tmp_path / "b", {"p": {b"2": "WA", b"3": "AW", b"4": "AA"}, "same": {b"1": "WU"}, "new": {}})
    found = differ(before, after)
    assert (found.only_before, found.only_after, found.problems_in_both) == (["gone"], ["new"], 2)
    assert (found.cases_gained, found.cases_lost) == (2, 1)
    (verdict,) = found.verdicts
    assert (verdict.problem, verdict.submission, verdict.before, verdict.after) == (
        "p", "one", "accepted", "wrong_answer",
    )  # fmt: skip
    first, second = found.changed
    assert (first.problem, first.wrong_killed, first.wrong_judged) == ("p", (1, 2), (2, 2))
    assert (second.problem, second.wrong_killed, second.wrong_judged) == ("same", (2, 1), (2, 1))
    told = "\n".join(difference_lines(found))
    for words in (
        "gone",
        "new",
        "p: killed 1/2 -> 2/2, cases +2 -1; killed now: one; new cases: 2 (g: d), 3 (g: d); cases gone: 1 (g: d)",
        "same: killed 2/2 -> 1/1, cases +0 -0; not judged now: two",
        "p/one on case 1 (g: d): accepted -> wrong_answer",
    ):
        assert words in told
    assert found.to_dict()["counts"] == {"only_before": 1, "only_after": 1, "changed": 2, "verdicts": 1}


def test_it_fits_on_a_screen_and_counts_what_it_leaves_out(tmp_path):
    before = stored(tmp_path / "a", {f"p{n}": {b"1": "AW"} for n in range(30)})
    after = stored(tmp_path / "b", {f"p{n}": {b"1": "WA"} for n in range(1, 40)})
    lines = list(difference_lines(differ(before, after)))
    assert len(lines) <= 50
    assert "  ... and 46 more (--json has the first 58)" in lines


def test_what_cannot_be_compared_is_refused(tmp_path):
    run = stored(tmp_path / "a", {})
    with pytest.raises(ConfigError, match="are the same folder"):
        differ(run, tmp_path / "." / "a")
    with pytest.raises(ConfigError, match="holds no results"):
        differ(run, tmp_path)
    with Store(tmp_path / "old"):
        pass
    with pytest.raises(ConfigError, match="its run was stopped before it began"):
        write_again(tmp_path / "old", print)
    with Store(run), pytest.raises(ConfigError, match="another run is writing here"):
        differ(run, stored(tmp_path / "b", {}))
