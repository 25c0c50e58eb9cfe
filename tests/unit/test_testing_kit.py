"""The public kit: the manual clock, the walk, and that the model notices what a real pool might do wrong."""

import math
import subprocess
import sys

import pytest

from balancer.endpoint import Endpoint
from balancer.strategy import ANY, Request
from balancer.testing import ManualClock
from tests.patience import PATIENCE_S
from tests.referee.model import ModelPool
from tests.referee.walk import random_walk
from tests.registered import MAKERS, NAMES, few_first


def test_the_clock_moves_only_when_told():
    clock = ManualClock(5.0)
    assert (clock(), clock()) == (5.0, 5.0)
    assert clock.advance(1.5) == clock() == 6.5
    assert clock.advance(0) == 6.5
    assert repr(clock) == "<ManualClock at 6.5 s>"


@pytest.mark.parametrize("by_s", [-1.0, -1e-9, math.inf, math.nan])
def test_the_clock_never_goes_back(by_s):
    clock = ManualClock()
    with pytest.raises(ValueError, match="advance by"):
        clock.advance(by_s)
    assert clock() == 1000.0
    if not math.isfinite(by_s):
        with pytest.raises(ValueError, match="start_s is"):
            ManualClock(by_s)


def granted(specs: list[Endpoint]) -> ModelPool:
    model = ModelPool(specs, None)
    model.grant(1, "a", ANY, 0.0)
    return model


@pytest.mark.parametrize(
    ("url", "request_", "lease_id", "reason"),
    [
        ("a", ANY, 2, "which is full"),
        ("z", ANY, 2, "which is not in the pool"),
        ("b", Request(exclude=frozenset("b")), 2, "which may not serve"),
        ("b", Request(labels=frozenset("x")), 2, "which may not serve"),
        ("b", ANY, 1, "does not grow"),
        ("c", ANY, 2, "which is draining"),
        ("d", ANY, 2, "which is retiring"),
    ],
)
def test_the_model_refuses_a_grant_that_was_not_allowed(url, request_, lease_id, reason):
    model = granted([Endpoint("a"), Endpoint("b"), Endpoint("c"), Endpoint("d", capacity=2)])
    model.stop("c", "draining")
    model.endpoints[3].held[0] = 0.0, 1
    model.stop("d", "retiring")
    with pytest.raises(AssertionError, match=reason):
        model.grant(lease_id, url, request_, 1.0)


@pytest.mark.sampled(1)
@pytest.mark.parametrize("name", few_first(NAMES))
def test_a_walk_does_everything_and_can_be_repeated(name):
    walk = random_walk(MAKERS[name], 3000, seed=1, thorough_every=100)
    assert min(walk.moves.values()) >= 1
    assert len(walk.moves) == 15
    assert min(walk.ends["lease"], walk.ends["AcquireTimeout"]) > 50
    assert len(walk.grants) > 500
    assert walk == random_walk(MAKERS[name], 3000, seed=1, thorough_every=1000)
    assert walk.grants != random_walk(MAKERS[name], 3000, seed=2, thorough_every=1000).grants


def test_the_kit_but_for_conformance_does_without_hypothesis():
    script = (
        "import sys; sys.modules['hypothesis'] = None\n"
        "import balancer.testing.checks, balancer.testing.clock, balancer.testing.doubles\n"
        "import balancer.testing.conformance"
    )
    run = subprocess.run(
        [sys.executable, "-c", script],
        env={"PYTHONPATH": ":".join(sys.path)},
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    last = run.stderr.strip().splitlines()[-1]
    assert last == (
        "ImportError: balancer.testing.conformance needs Hypothesis: "
        "install balancer with the extra 'testing', or hypothesis itself"
    )
