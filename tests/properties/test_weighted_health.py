"""`weighted_health`: shares by weight in every short window, less for who fails or is slow, and it forgets."""

import pytest

from balancer.endpoint import Endpoint, Outcome
from tests.properties.test_by_turns import failing, sequence_of

# -- shares by weight ------------------------------------------------------------------------------


def test_a_new_endpoint_starts_slowly_and_then_has_its_share():
    calls = sequence_of([1.0, 1.0, 1.0], options={"slow_start_s": 10.0})
    calls.calls(300)  # 15 s: these have started
    calls.core.add(Endpoint("new", capacity=4), calls.clock())
    shares = [calls.calls(20).count("new") / 20 for _ in range(15)]  # a second each
    # At age t its weight is max(0.1, t / 10), of 3 + that in all: 1/31 in the first second, 1/4 after the tenth.
    assert shares[0] <= 0.1
    assert sum(shares[4:6]) / 2 == pytest.approx(0.5 / 3.5, abs=0.05)
    assert sum(shares[10:]) / 5 == pytest.approx(0.25, abs=0.02)


# -- health ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [Outcome.FAILURE, Outcome.OVERLOAD])
@pytest.mark.parametrize("took_s", [0.01, 30.0, 300.0])
def test_a_single_failure_halves_an_unknown_endpoint_however_long_it_took(kind, took_s):
    """A time-out is a failure too, and the longest there is: it must not have faded before it counts."""
    calls = sequence_of([1.0, 1.0], options={"slow_start_s": 0.0, "decay_s": 30.0})
    lease = calls.take()
    calls.clock.advance(took_s)
    calls.give(lease, kind)
    urls = calls.calls(300, took_s=lambda url: 0.0, outcome=lambda url: Outcome.IGNORED)
    assert urls.count(lease.endpoint.url) / 300 == pytest.approx(1 / 3, abs=0.01)


@pytest.mark.parametrize("n", [2, 4])
@pytest.mark.parametrize("fails_after_s", [0.01, 0.05, 0.5])
def test_an_endpoint_that_fails_every_call_gets_next_to_none(n, fails_after_s):
    """Were it one of n and fed like the others, or more for failing fast, it would have 1/n or more.

    Failures at a rate of r a second add up to f = r x decay_s in the long run, its health is 1 / (1 + f) and
    its share h / (n - 1 + h). At 20 calls a second, decay_s = 30 and n = 4: f = 600 x share, so share = 0.023.
    """
    calls = sequence_of([1.0] * n, options={"slow_start_s": 0.0, "decay_s": 30.0, "speed": 0.0})
    took_s = {"e0": fails_after_s}
    calls.calls(2000, took_s=lambda url: took_s.get(url, 0.05), outcome=failing)
    share = calls.calls(2000, took_s=lambda url: took_s.get(url, 0.05), outcome=failing).count("e0") / 2000
    expected = next(s / 1e5 for s in range(1, 10**5) if s / 1e5 * (n - 1) >= (1 - s / 1e5) / (1 + 600 * s / 1e5))
    assert share == pytest.approx(expected, rel=0.4)  # it strays as 1 + f does between two failures
    assert share < 0.2 / n


def test_a_fault_is_forgotten():
    """After 5 decay_s a failure counts 0.7%; f was some 14 by then, so health is over 0.9 of what it was."""
    calls = sequence_of([1.0] * 4, options={"slow_start_s": 0.0, "decay_s": 10.0})
    assert calls.calls(2000, outcome=failing).count("e0") < 100
    calls.calls(1000)  # 50 s
    assert calls.calls(1000).count("e0") / 1000 == pytest.approx(0.25, abs=0.02)


@pytest.mark.parametrize(("speed", "share"), [(0.0, 1 / 2), (1.0, 1 / 5), (2.0, 1 / 17)])
def test_speed_counts_as_much_as_the_option_says(speed, share):
    calls = sequence_of([1.0, 1.0], options={"slow_start_s": 0.0, "speed": speed})
    slow = {"e0": 0.4}
    calls.calls(500, took_s=lambda url: slow.get(url, 0.1))
    urls = calls.calls(1000, took_s=lambda url: slow.get(url, 0.1))
    assert urls.count("e0") / 1000 == pytest.approx(share, rel=0.15)


def test_to_fail_at_once_is_not_to_be_fast():
    def urls(speed: float) -> list[str]:
        calls = sequence_of([1.0, 1.0], options={"slow_start_s": 0.0, "decay_s": 1000.0, "speed": speed})
        calls.calls(200, took_s=lambda url: 0.1)
        return calls.calls(500, took_s=lambda url: 0.001 if url == "e0" else 0.1, outcome=failing)

    assert urls(speed=2.0) == urls(speed=0.0)


# -- odd cases -------------------------------------------------------------------------------------
