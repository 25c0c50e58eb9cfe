"""What `weighted_health` and `weighted_round_robin` have in common: shares by weight in every short window."""

from collections.abc import Mapping
from collections.abc import Sequence as Listed
from itertools import accumulate

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from balancer.endpoint import Endpoint, Outcome
from tests.properties.sequence import Sequence

_STEADY: dict[str, Mapping[str, float]] = {"weighted_health": {"slow_start_s": 0.0}, "weighted_round_robin": {}}

each = pytest.mark.parametrize("name", _STEADY)


def sequence_of(
    weights: Listed[float],
    name: str = "weighted_health",
    *,
    options: Mapping[str, float] | None = None,
    seed: int = 0,
    capacity: int = 4,
) -> Sequence:
    specs = [Endpoint(f"e{n}", weight=weight, capacity=capacity) for n, weight in enumerate(weights)]
    return Sequence(name, specs, options=_STEADY[name] if options is None else options, seed=seed)


def failing(url: str) -> Outcome:
    return Outcome.FAILURE if url == "e0" else Outcome.SUCCESS


def furthest_off(urls: Listed[str], weights: Listed[float], longest: int = 60) -> list[float]:
    """Return, for each endpoint, by how many leases it was off its share in its worst window."""
    worst = []
    for number, weight in enumerate(weights):
        share = weight / sum(weights)
        ahead = list(accumulate(((url == f"e{number}") - share for url in urls), initial=0.0))
        windows = (ahead[i + n] - ahead[i] for n in range(1, longest) for i in range(len(urls) - n))
        worst.append(max(map(abs, windows)))
    return worst


@each
@pytest.mark.parametrize(
    "weights", [(2.0, 1.0), (3.0, 2.0, 1.0), (1.0, 1.0, 1.0, 1.0), (20.0, 10.0), (1000.0, 500.0), (0.002, 0.001)]
)
@pytest.mark.parametrize("seed", range(5))
def test_shares_are_within_one_lease_in_every_window(name, weights, seed):
    urls = sequence_of(weights, name, seed=seed).calls(500)
    assert max(furthest_off(urls, weights)) <= 1.0 + 1e-9


@each
@settings(max_examples=60)
@given(weights=st.lists(st.integers(1, 9), min_size=1, max_size=6), seed=st.integers(0, 99))
def test_shares_are_within_the_bound_of_edf_in_every_window(name, weights, seed):
    """An endpoint is picked once a period 1/w of virtual time, so in a span V of it V w times, give or take
    one. A window of L leases spans between (L - n) / W and (L + n) / W for n endpoints of weight W in all, so
    an endpoint is off its share L w / W by less than 1 + n w / W."""
    urls = sequence_of([float(w) for w in weights], name, seed=seed).calls(200)
    off = furthest_off(urls, weights, longest=40)
    bounds = [1 + len(weights) * w / sum(weights) for w in weights]
    assert all(found <= bound for found, bound in zip(off, bounds, strict=True)), (off, bounds)


@each
def test_an_endpoint_that_was_full_for_long_is_not_owed_what_it_could_not_take(name):
    calls = sequence_of([1.0, 1.0], name, capacity=1)
    calls.calls(20)
    held = {lease.endpoint.url: lease for lease in (calls.take(), calls.take())}
    calls.give(held["e1"])
    assert calls.calls(200) == ["e1"] * 200  # e0 is busy with one long call meanwhile
    calls.give(held["e0"], Outcome.IGNORED)
    assert max(furthest_off(calls.calls(50), [1.0, 1.0])) <= 1.0 + 1e-9


@each
def test_a_new_weight_counts_at_once(name):
    calls = sequence_of([0.01, 1.0, 1.0, 1.0], name)
    calls.calls(500)
    calls.core.update(Endpoint("e0", weight=1.0, capacity=4), calls.clock())
    urls = calls.calls(200)
    assert furthest_off(urls[4:], [1.0] * 4) <= [1.0 + 1e-9] * 4  # within one round, and for good


@pytest.mark.parametrize(("name", "options"), [("weighted_health", {"floor": 1e-300}), ("weighted_round_robin", {})])
@pytest.mark.parametrize("weights", [(5e-324, 5e-324), (1e-300, 1.0), (1e300, 1.0), (1.7e308, 1.7e308)])
def test_no_weight_is_too_small_or_too_large(name, options, weights):
    calls = sequence_of(weights, name, options=options)
    assert len(calls.calls(200, outcome=failing)) == 200
    assert {calls.take().endpoint.url for _ in range(8)} == {"e0", "e1"}
