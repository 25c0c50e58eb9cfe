"""A test for outliers that the core has never heard of: one on latency, in one place and put in with one line."""

from collections.abc import Callable

import pytest

from balancer.core.health import HealthWatch
from balancer.core.outliers import TESTS, OutlierTest
from balancer.core.states import HealthRecord
from balancer.settings.rules import HealthSettings
from tests.unit.ruled import FAILURE, SUCCESS, Ruled

_SLOW_S = 3.0


class Slow(OutlierTest):
    """Three successes in a row that each took longer than `_SLOW_S`."""

    timed = True

    def __init__(self, settings: HealthSettings) -> None:
        self._row: dict[HealthRecord, int] = {}

    def begin(self, record: HealthRecord, now: float) -> None:
        self._row[record] = 0

    def leave(self, record: HealthRecord) -> None:
        del self._row[record]

    def took(self, record: HealthRecord, elapsed_s: float, now: float) -> bool:
        self._row[record] = self._row[record] + 1 if elapsed_s > _SLOW_S else 0
        return self._row[record] >= 3


class Listens(OutlierTest):
    """Finds nobody; keeps what it hears."""

    def __init__(self, settings: HealthSettings) -> None:
        self.heard: list[tuple[str, object]] = []

    def booked(self, record: HealthRecord, successes: int, at_s: float) -> None:
        self.heard.append(("booked", successes))

    def took(self, record: HealthRecord, elapsed_s: float, now: float) -> bool:
        self.heard.append(("took", (elapsed_s, now)))
        return False

    def failed(self, record: HealthRecord, now: float) -> bool:
        self.heard.append(("failed", 1))
        return False


@pytest.fixture
def tested(monkeypatch):
    def make(*tests: Callable[[HealthSettings], OutlierTest]) -> Ruled:
        monkeypatch.setattr("balancer.core.rules.HealthWatch", lambda *of: HealthWatch(*of, tests=[*TESTS, *tests]))
        return Ruled(2, health={"slow_start_s": 0.0})

    return make


def call(ruled: Ruled, took_s: float, times: int = 1) -> None:
    for _ in range(times):
        lease = ruled.take("a")
        ruled.at(ruled.now + took_s)
        ruled.give(lease)


def test_a_test_on_latency_ejects_what_is_slow(tested):
    ruled = tested(Slow)
    call(ruled, 3.5, 2)
    call(ruled, 1.0)
    call(ruled, 3.5, 2)
    assert ruled.out() == []
    call(ruled, 3.5)
    assert ruled.out() == ["a"]
    ruled.at(ruled.core.due_s)
    ruled.call("a", SUCCESS)  # the probe
    call(ruled, 3.5, 2)  # it has begun anew
    assert ruled.out() == []


def test_it_is_asked_of_each_endpoint_for_as_long_as_that_is_there(tested):
    ruled = tested(Slow)
    call(ruled, 3.5, 2)
    ruled.core.remove("a", ruled.now)
    assert ruled.health() == {"b": "healthy"}


def test_without_a_timed_test_successes_are_only_counted(tested, monkeypatch):
    """Ten thousand successes within a moment, and two or three ends that the watch hears of."""
    ends = [0]
    heard = HealthWatch.ended

    def counting(self: HealthWatch, *of: object) -> None:
        ends[0] += 1
        heard(self, *of)  # what it was given

    monkeypatch.setattr(HealthWatch, "ended", counting)
    plain = tested()
    plain.call("a", SUCCESS, times=10_000)
    assert ends[0] <= 3
    timed = tested(Slow)
    timed.call("a", SUCCESS, times=100)
    assert ends[0] >= 100, "a timed test must hear of each"


def test_what_was_only_counted_is_told_before_a_failure_is(tested):
    ruled = tested(Listens)
    (listens,) = [test for test in ruled.core._rules._watch._tests if isinstance(test, Listens)]
    ruled.call("a", SUCCESS, times=20)
    ruled.call("a", FAILURE)
    kinds = [kind for kind, _ in listens.heard]
    assert kinds.count("failed") == 1
    assert kinds[-1] == "failed"
    assert sum(count for kind, count in listens.heard if kind == "booked" and isinstance(count, int)) == 20


def test_it_is_told_how_long_a_success_took_and_when_it_ended(tested, monkeypatch):
    monkeypatch.setattr(Listens, "timed", True)
    made: list[Listens] = []

    def make(settings: HealthSettings) -> Listens:
        made.append(Listens(settings))
        return made[-1]

    ruled = tested(make)
    for took_s in (2.0, 1.5):
        call(ruled, took_s)
    assert [what for kind, what in made[0].heard if kind == "took"] == [(2.0, 2.0), (1.5, 3.5)]


def test_successes_far_apart_are_only_counted_as_well(tested, monkeypatch):
    """Each opens a batch of its own, over many comparisons; the tests hear of them before the failure, and in order."""
    ends = [0]
    heard = HealthWatch.ended

    def counting(self: HealthWatch, *of: object) -> None:
        ends[0] += 1
        heard(self, *of)  # what it was given

    monkeypatch.setattr(HealthWatch, "ended", counting)
    ruled = tested(Listens)
    (listens,) = [test for test in ruled.core._rules._watch._tests if isinstance(test, Listens)]
    call(ruled, 3.5, 200)
    assert ends[0] == 1
    ruled.call("a", FAILURE)
    assert ends[0] == 2
    assert listens.heard == [("booked", 1)] * 200 + [("failed", 1)]
