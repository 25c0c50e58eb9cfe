"""Time limits that an overload may have caused: which are doubted, and what two runs mean together."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from balancer.judging.suspicion import (
    Recheck,
    Suspicion,
    second_limits,
    settled,
    shows_overload,
    suspicion_of,
)
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
        (Execution(Status.COMPILE_ERROR), None),
        (Execution(Status.COMPILE_ERROR, doubtful=True), Suspicion.DOUBTFUL),
    ],
)
def test_what_is_doubted(execution, why):
    assert suspicion_of(execution, _LIMITS, _EXPECTED) is why


def test_without_one_right_answer_no_output_is_a_beginning():
    assert suspicion_of(replace(_LATE, stdout=b"1 2 3\n"), _LIMITS, None) is None


def test_a_partial_output_gets_time_in_proportion():
    half = replace(_LATE, stdout=_EXPECTED[:6])
    assert second_limits(Suspicion.PARTIAL, half, _LIMITS, _EXPECTED).cpu_s == pytest.approx(2.0)
    assert second_limits(Suspicion.EMPTY, _LATE, _LIMITS, _EXPECTED) == _LIMITS


@given(
    cpu_s=st.floats(0.1, 3600.0), printed=st.integers(1, 200), expected=st.integers(1, 10**6), wall=st.floats(1.0, 4.0)
)
def test_the_second_limit_is_no_less_and_at_most_tenfold_and_1000_s(cpu_s, printed, expected, wall):
    limits = Limits(cpu_s=cpu_s, wall_s=wall * cpu_s)
    again = second_limits(Suspicion.PARTIAL, replace(_LATE, stdout=b"x" * printed), limits, b"x" * expected)
    assert limits.cpu_s <= again.cpu_s <= max(limits.cpu_s, min(10 * limits.cpu_s, 1000.0)) * (1 + 1e-9)
    assert again.wall_s / again.cpu_s == pytest.approx(wall)


_QUICK, _SLOW = Execution(Status.FINISHED, time_s=1.05), Execution(Status.FINISHED, time_s=3.0)
_OWN = replace(_LATE, cpu_measured=True)
_CONFIRMED = Recheck.CONFIRMED


@pytest.mark.parametrize(
    ("second", "beside", "alone"),
    [
        (_QUICK, (_QUICK, Recheck.CLEARED), (_QUICK, Recheck.CLEARED)),
        (_OWN, (_OWN, _CONFIRMED), (_OWN, _CONFIRMED)),  # its own CPU time, however busy the server is
        (replace(_SLOW, cpu_measured=True), (_LATE, _CONFIRMED), (_LATE, _CONFIRMED)),
        (None, (None, Recheck.UNJUDGED), (None, Recheck.UNJUDGED)),
        # What the wall clock says counts where nothing else ran.
        (replace(_LATE, stdout=b"1"), None, (replace(_LATE, stdout=b"1"), _CONFIRMED)),
        (replace(_OWN, time_s=0.2), None, (replace(_OWN, time_s=0.2), _CONFIRMED)),
        (_SLOW, None, (_LATE, _CONFIRMED)),  # it had more time, and needed it; or the server was slow
    ],
)
def test_two_runs_must_agree(second, beside, alone):
    assert _settled(second, alone=False) == beside
    assert _settled(second, alone=True) == _settled(second, alone=True, last=True) == alone


def test_a_late_one_confirms_nothing():
    late = replace(_LATE, time_s=1.24)
    assert _settled(late, alone=True) is None
    assert _settled(late, alone=True, last=True) == (None, Recheck.UNJUDGED)
    longer, second = replace(_LIMITS, cpu_s=5.0, wall_s=25.0), replace(_LATE, time_s=5.1)
    assert settled(_LATE, second, _LIMITS, longer, alone=True, last=False) == (second, Recheck.CONFIRMED)


def test_who_waited_for_a_core_in_vain_is_confirmed_by_nobody_who_did_too():
    crowded = Execution(Status.TIME_LIMIT, time_s=0.2, cpu_measured=True, doubtful=True)
    assert suspicion_of(crowded, _LIMITS, None) is Suspicion.STARVED
    assert shows_overload(crowded, _LIMITS)
    for alone in (False, True):
        assert settled(crowded, crowded, _LIMITS, _LIMITS, alone=alone, last=False) is None
        assert settled(crowded, crowded, _LIMITS, _LIMITS, alone=alone, last=True) == (None, Recheck.UNJUDGED)
    asleep = replace(crowded, doubtful=False)
    assert settled(crowded, asleep, _LIMITS, _LIMITS, alone=True, last=False) == (asleep, Recheck.CONFIRMED)


def _settled(second: Execution | None, *, alone: bool, last: bool = False) -> tuple[Execution | None, Recheck] | None:
    return settled(_LATE, second, _LIMITS, _LIMITS, alone=alone, last=last)
