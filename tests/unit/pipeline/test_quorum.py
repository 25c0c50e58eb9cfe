"""How many accepted submissions must agree on a case before wrong programs are judged on it."""

from pathlib import Path

import pytest

from balancer.pipeline.results.run_result import CaseState
from balancer.pipeline.round.steps import agreed
from balancer.problem import Verdict
from tests.unit.pipeline.bench import Bench, judged, make_problem

RIGHT, WRONG, LOST = Verdict.ACCEPTED, Verdict.WRONG_ANSWER, Verdict.UNJUDGED


@pytest.mark.parametrize(
    ("found", "quorum", "state"),
    [
        ([RIGHT], 1.0, CaseState.READY),
        ([RIGHT, RIGHT, RIGHT], 1.0, CaseState.READY),
        ([RIGHT, RIGHT, WRONG], 1.0, CaseState.CONTESTED),
        ([RIGHT, RIGHT, LOST], 1.0, CaseState.UNJUDGED),
        ([RIGHT, RIGHT, None], 1.0, CaseState.UNJUDGED),
        ([RIGHT, RIGHT, WRONG], 2 / 3, CaseState.READY),
        ([RIGHT, RIGHT, LOST], 2 / 3, CaseState.READY),
        ([RIGHT, WRONG, WRONG], 2 / 3, CaseState.CONTESTED),
        ([RIGHT, WRONG, LOST], 2 / 3, CaseState.UNJUDGED),
        ([RIGHT, WRONG], 0.5, CaseState.READY),
        # Nothing stands on an answer that the reference solution has not given, however many others agree.
        ([WRONG, RIGHT, RIGHT], 0.5, CaseState.CONTESTED),
        ([LOST, RIGHT, RIGHT], 0.5, CaseState.UNJUDGED),
        ([None, RIGHT, RIGHT], 0.5, CaseState.UNJUDGED),
    ],
)
def test_what_becomes_of_a_case(found: list[Verdict | None], quorum: float, state: CaseState) -> None:
    assert agreed(found, quorum) is state


@pytest.mark.parametrize("quorum", [2 / 3, 1.0])
def test_a_run_uses_what_enough_agree_on(tmp_path: Path, quorum: float) -> None:
    problem = make_problem(accepted=["double", "add", "double, but 13"], own=[1, 13], answers={})
    end = judged(Bench(tmp_path, problem, quorum=quorum))
    assert (13 in end.inputs(CaseState.READY)) is (quorum < 1)
    assert end.inputs(CaseState.CONTESTED) == ([] if quorum < 1 else [13])
    assert end.verdict("double, but 13", 13) is Verdict.WRONG_ANSWER
