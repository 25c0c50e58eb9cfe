"""Time limits that an overload may have caused: which are doubted, and what two runs mean together."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from balancer.pipeline.running.suspicion import Look, Suspicion, second_limits, settled, suspicion_of
from balancer.program import Execution, Limits, Status

_LIMITS = Limits(cpu_s=1.0, wall_s=5.0)
_LATE = Execution(Status.TIME_LIMIT, time_s=1.0)  # CPU time is not measured, as on SandboxFusion
_EXPECTED = b"1 2 3\n4 5 6\n"


@pytest.mark.parametrize(
    ("execution", "why"),
    [
        (_LATE, Suspicion.EMPTY),
        (replace(_LATE, stdout=b" \n"), Suspicion.EMPTY),
        (replace(_LATE, stdout=b"1 2 3\n4"), Suspicion.PARTIAL),
        (replace(_LATE, stdout=b"1  2"), Suspicion.PARTIAL),
        (replace(_LATE, stdout=b"1 2 4\n"), None),
        (replace(_LATE, stdout=b"2"), None),  # a word that may be cut says nothing
        (replace(_LATE, stdout=_EXPECTED + b"7"), None),
        (replace(_LATE, cpu_measured=True), None),  # the CPU time is the program's own
        (replace(_LATE, cpu_measured=True, time_s=0.2), Suspicion.STARVED),
        (replace(_LATE, stdout=b"2 1", time_s=1.05), None),
        (replace(_LATE, stdout=b"2 1", time_s=1.24), Suspicion.LATE),
        (Execution(Status.FINISHED, exit_code=0), None),
        (Execution(Status.MEMORY_LIMIT), None),
    ],
)
def test_what_is_doubted(execution: Execution, why: Suspicion | None) -> None:
    assert suspicion_of(execution, _LIMITS, _EXPECTED) is why


def test_without_one_right_answer_no_output_is_a_beginning() -> None:
    assert suspicion_of(replace(_LATE, stdout=b"1 2 3\n"), _LIMITS, None) is None


def test_a_partial_output_gets_time_in_proportion() -> None:
    half = replace(_LATE, stdout=_EXPECTED[:6])
    assert second_limits(Suspicion.PARTIAL, half, _LIMITS, _EXPECTED).cpu_s == pytest.approx(2.0)
    assert second_limits(Suspicion.EMPTY, _LATE, _LIMITS, _EXPECTED) == _LIMITS


@given(
    cpu_s=st.floats(0.1, 3600.0), printed=st.integers(1, 200), expected=st.integers(1, 10**6), wall=st.floats(1.0, 4.0)
)
def test_the_second_limit_is_no_less_and_at_most_tenfold_and_1000_s(
    cpu_s: float, printed: int, expected: int, wall: float
) -> None:
    limits = Limits(cpu_s=cpu_s, wall_s=wall * cpu_s)
    again = second_limits(Suspicion.PARTIAL, replace(_LATE, stdout=b"x" * printed), limits, b"x" * expected)
    assert limits.cpu_s <= again.cpu_s <= max(limits.cpu_s, min(10 * limits.cpu_s, 1000.0)) * (1 + 1e-9)
    assert again.wall_s / again.cpu_s == pytest.approx(wall)


def test_two_runs_must_agree() -> None:
    quick, slow = Execution(Status.FINISHED, time_s=1.05), Execution(Status.FINISHED, time_s=3.0)
    assert settled(_LATE, quick, _LIMITS) == (quick, Look.CLEARED)
    assert settled(_LATE, replace(_LATE, stdout=b"1"), _LIMITS) == (replace(_LATE, stdout=b"1"), Look.CONFIRMED)
    assert settled(_LATE, slow, _LIMITS) == (_LATE, Look.CONFIRMED)  # it had more time, and needed it
    assert settled(_LATE, None, _LIMITS) == (None, Look.UNJUDGED)
