"""`AccountFleet`: whatever fails, the limits of the account hold, every caller is served, and nothing is left over."""

from hypothesis import given, settings
from hypothesis import strategies as st

from balancer.provisioning.fleet import FleetLimits
from tests.provisioning.world import Faults, World

_ROUNDING = 1e-6

_limits = st.builds(
    FleetLimits,
    most=st.integers(2, 8),
    warm=st.integers(0, 2),
    idle_s=st.sampled_from([0.0, 3.0, 30.0]),
    per_s=st.sampled_from([0.3, 1.0, 5.0]),
    burst=st.integers(1, 5),
    slots=st.integers(1, 3),
)
_share = st.sampled_from([0.0, 0.0, 0.2, 0.5])
_faults = st.builds(Faults, refused=_share, lost=_share, unready=_share, undestroyed=_share, unlisted=_share)
_calls = st.lists(st.tuples(st.floats(0.0, 8.0), st.integers(1, 6), st.floats(0.1, 5.0)), min_size=1, max_size=8)


def _world(limits: FleetLimits, faults: Faults, seed: int) -> World:
    return World(limits, create_s=lambda rng: rng.uniform(0.2, 4.0), faults=faults, seed=seed)


def _hold_rate(world: World) -> None:
    """In any time t at most burst + rate x t creations begin."""
    for first, start_s in enumerate(world.asked):
        for last, end_s in enumerate(world.asked[first:], first):
            most = world.limits.burst + world.limits.per_s * (end_s - start_s)
            assert last - first + 1 <= most + _ROUNDING, "too many creations in this time"


@settings(max_examples=30)
@given(_limits, _faults, _calls, st.integers(0, 1000))
def test_the_limits_hold_and_all_are_served(
    limits: FleetLimits, faults: Faults, calls: list[tuple[float, int, float]], seed: int
) -> None:
    world = _world(limits, faults, seed)
    for pause_s, number, takes_s in calls:
        world.run(pause_s)
        for _ in range(number):
            world.call(takes_s)
    world.settle(lambda: len(world.waits) == world.calls)  # nobody waits for ever
    assert world.most <= limits.most, "more exist than the account allows"
    _hold_rate(world)
    world.settle(lambda: world.fleet.counts.serving == len(world.exists) == limits.warm)  # the reserve is kept


@settings(max_examples=20)
@given(_limits, _faults, _calls, st.integers(0, 1000))
def test_nothing_is_left_over_however_often_the_owner_is_killed(
    limits: FleetLimits, faults: Faults, calls: list[tuple[float, int, float]], seed: int
) -> None:
    world = _world(limits, faults, seed)
    for pause_s, number, takes_s in calls:
        for _ in range(number):
            world.call(takes_s)
        world.run(pause_s)
        world.kill_owner()
    assert world.most <= limits.most, "a new owner makes more before it knows what there is"
    # What earlier owners have left is destroyed.
    world.settle(lambda: world.fleet.counts.serving == len(world.exists) == limits.warm)
    world.close()
    world.settle(lambda: not world.exists)
