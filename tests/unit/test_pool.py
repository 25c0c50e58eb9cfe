"""The pool for threads, as one thread sees it; what threads do to it is in tests/threads."""

from typing import Any

import pytest

from balancer import (
    AcquireTimeout,
    ConfigError,
    DuplicateEndpoint,
    Endpoint,
    EndpointError,
    EndpointOverloaded,
    LeaseError,
    NoEndpoint,
    Outcome,
    Pool,
    PoolClosed,
    TooManyWaiters,
)
from balancer.settings.rules import HealthSettings
from balancer.testing import ManualClock
from tests.registered import NAMES


def pool_of(*urls: str, **arguments: Any) -> Pool:
    return Pool([Endpoint(url) for url in urls], **arguments)


@pytest.mark.parametrize("name", NAMES)
def test_a_lease_is_had_and_given_back(name):
    pool = pool_of("a", "b", strategy=name, seed=1)
    with pool.lease(timeout=0) as first, pool.lease(timeout=0) as second:
        assert {first.endpoint.url, second.endpoint.url} == {"a", "b"}
        assert (first.id, second.id) == (1, 2)
        with pytest.raises(AcquireTimeout):
            pool.acquire(timeout=0)
    assert [e.in_flight for e in pool.stats().endpoints] == [0, 0]


@pytest.mark.parametrize(
    ("error", "failures", "overloads"),
    [
        (EndpointError("down"), 1, 0),
        (EndpointOverloaded("busy"), 0, 1),
        (TimeoutError(), 1, 0),
        (KeyError("mine"), 0, 0),
    ],
)
def test_an_exception_gives_the_endpoint_back_with_the_right_outcome(error, failures, overloads):
    pool = pool_of("a")
    with pytest.raises(type(error)), pool.lease():
        raise error
    (stats,) = pool.stats().endpoints
    assert (stats.in_flight, stats.failures, stats.overloads) == (0, failures, overloads)
    pool.acquire(timeout=0).release()


@pytest.mark.parametrize("arguments", [{"labels": ["tpu"]}, {"exclude": ["a"]}, {"labels": ["tpu"], "exclude": ["a"]}])
def test_what_nobody_could_serve_is_refused_at_once(arguments):
    with pytest.raises(NoEndpoint, match="none of the 1 endpoints in service can serve a request for"):
        pool_of("a").acquire(**arguments)


def test_an_empty_pool_says_so():
    with pytest.raises(NoEndpoint, match=r"^no endpoint is in service; add one$"):
        Pool().acquire()


def test_the_pools_own_timeout_is_used_unless_another_is_given():
    pool = pool_of("a", acquire_timeout_s=0.01)
    pool.acquire()
    with pytest.raises(AcquireTimeout, match=r"within 0\.01 s") as caught:
        pool.acquire()
    assert caught.value.timeout_s == pytest.approx(0.01)
    with pytest.raises(AcquireTimeout, match="within 0 s"):
        pool.acquire(timeout=0)
    assert pool.stats().timed_out == 2
    assert pool.stats().acquire_rate == pytest.approx(1 / 3)


def test_a_pool_may_refuse_to_queue():
    pool = pool_of("a", max_waiters=0)
    pool.acquire()
    with pytest.raises(TooManyWaiters):
        pool.acquire(timeout=5)
    with pytest.raises(AcquireTimeout):
        pool.acquire(timeout=0)
    with pytest.raises(ValueError, match="max_waiters is -1"):
        pool_of("a", max_waiters=-1)


def test_a_lease_ends_once_and_goes_back_where_it_came_from():
    pool, other = pool_of("a"), pool_of("a")
    lease = pool.acquire()
    with pytest.raises(LeaseError, match="granted by another pool") as refused:
        other.release(lease)
    assert refused.value.lease_id == lease.id
    pool.release(lease)
    with pytest.raises(LeaseError, match="already released"):
        lease.release()
    with pytest.raises(LeaseError), pool.lease() as lease:
        lease.release()  # the end of the block is the second time
    assert pool.stats().endpoints[0].in_flight == other.stats().endpoints[0].in_flight == 0
    assert pool.acquire(timeout=0).id == 3


def test_members_come_change_and_go():
    pool = pool_of("a")
    pool.add(Endpoint("b"))
    with pytest.raises(DuplicateEndpoint):
        pool.add(Endpoint("b"))
    lease = pool.acquire(exclude=["a"])
    pool.update("b", capacity=2, weight=3, labels=["x"])
    pool.acquire(labels=["x"])
    pool.remove("b")
    pool.drain("a")
    assert [(e.url, e.state, e.limit) for e in pool.stats().endpoints] == [("a", "draining", 0), ("b", "retiring", 0)]
    lease.release()
    assert pool.stats().endpoints[1].in_flight == 1
    with pytest.raises(NoEndpoint):
        pool.acquire()


@pytest.mark.parametrize("wrong", [{"capacity": 0}, {"weight": -1.0}, {"labels": "x"}, {"capacity": 1.5}])
def test_a_wrong_change_changes_nothing(wrong):
    pool = pool_of("a")
    before = pool.stats()
    with pytest.raises(ValueError, match=next(iter(wrong))):
        pool.update("a", **{"capacity": 5, "weight": 5.0, **wrong})
    assert pool.stats() == before


def test_the_strategy_can_be_changed_while_leases_are_out():
    pool = pool_of("a", "b", seed=1)
    out = pool.acquire()
    for name in NAMES:
        pool.set_strategy(name)
        assert pool.stats().strategy == name
        with pool.lease(timeout=0) as lease:
            assert lease.endpoint.url != out.endpoint.url
    with pytest.raises(ConfigError, match="did you mean 'least_in_flight'"):
        pool.set_strategy("least_in_flght")
    with pytest.raises(ConfigError, match="option decay_s"):
        pool.set_strategy("weighted_health", decay_s=-1)
    assert pool.stats().strategy == NAMES[-1]
    out.release()


def test_a_closed_pool_takes_back_and_grants_no_more():
    with pool_of("a") as pool:
        lease = pool.acquire()
    for _ in range(2):  # to close twice does no harm
        with pytest.raises(PoolClosed):
            pool.acquire()
        pool.close()
    lease.release()
    assert pool.stats().endpoints[0].in_flight == 0
    assert "closed" in repr(pool)


def test_the_repr_tells_the_state_at_a_glance():
    pool = Pool([Endpoint("a", capacity=2), Endpoint("b"), Endpoint("c")])
    pool.acquire()
    pool.drain("c")
    assert repr(pool) == "<Pool least_in_flight: 2 active, 1 draining; 1/3 in flight, 0 waiting, 1 granted>"
    assert repr(Pool()) == "<Pool least_in_flight: no endpoints; 0/0 in flight, 0 waiting, 0 granted>"


def test_stats_are_taken_at_one_instant_of_the_pools_clock():
    clock = ManualClock()
    pool = pool_of("a", "b", clock=clock, strategy="fifo")
    lease = pool.acquire()
    clock.advance(2.5)
    lease.release(Outcome.FAILURE)
    with pool.lease() as second:
        clock.advance(1.0)
        stats = pool.stats()
    assert [(e.url, e.leases, e.failures, e.busy_s) for e in stats.endpoints] == [("a", 1, 1, 2.5), ("b", 1, 0, 1.0)]
    assert (lease.granted_s, second.granted_s) == (1000.0, 1002.5)
    assert (stats.acquired, stats.jain, stats.balance_score, stats.wait_s.max) == (2, 1.0, 1.0, 0.0)


def test_the_same_seed_chooses_the_same():
    def grants(seed: int | None) -> list[str]:
        pool = Pool([Endpoint(f"e{n}", capacity=3) for n in range(10)], strategy="least_in_flight", seed=seed)
        return [pool.acquire(timeout=0).endpoint.url for _ in range(30)]

    assert grants(5) == grants(5)
    assert len({tuple(grants(None)) for _ in range(5)}) > 1


def test_a_pool_is_made_from_a_config_file(tmp_path):
    file = tmp_path / "balancer.toml"
    file.write_text(
        """
        [pool]
        strategy = "weighted_health"
        options = { decay_s = 5.0 }
        acquire_timeout_s = 0.01
        max_waiters = 0
        seed = 3
        [[endpoints]]
        url = "http://10.0.0.{1..2}/"
        capacity = 2
        weight = 3.0
        labels = ["x"]
        """
    )
    pool = Pool.from_config(file)
    stats = pool.stats()
    assert stats.strategy == "weighted_health"
    assert [(e.url, e.capacity, e.weight) for e in stats.endpoints] == [(f"http://10.0.0.{n}/", 2, 3.0) for n in (1, 2)]
    leases = [pool.acquire(labels=["x"]) for _ in range(4)]
    with pytest.raises(TooManyWaiters):
        pool.acquire()
    assert len(leases) == 4


@pytest.mark.parametrize("text", ['[pool]\nstrategy = "fivo"', "[pool.options]\nspeed = 1"])
def test_a_config_that_no_plugin_can_serve_is_refused(tmp_path, text):
    file = tmp_path / "balancer.toml"
    file.write_text(text)
    with pytest.raises(ConfigError) as caught:
        Pool.from_config(file)
    assert str(file) in str(caught.value)


@pytest.mark.parametrize("name", ["health", "limits", "retries"])
def test_settings_of_another_kind_are_refused(name):
    with pytest.raises(TypeError, match=f"{name} is True; it takes balancer[.].*Settings[(]...[)], or None"):
        Pool(**{name: True})


def test_a_lease_knows_the_priority_it_was_asked_for_with():
    pool = Pool([Endpoint("a", capacity=3)])
    with pool.lease(priority=2) as lease:
        assert [each.priority for each in (lease, pool.acquire(priority=-1))] == [2, -1]
        assert pool.call(lambda lease: lease.priority, priority=3) == 3


@pytest.mark.parametrize("priority", [None, "1", 1.5, 10**400])
def test_a_priority_that_is_none_is_refused_and_harms_nobody(priority):
    pool = Pool([Endpoint("a")])
    with pool.lease(), pytest.raises(ValueError, match="priority is"):
        pool.acquire(timeout=0, priority=priority)
    assert pool.stats().waiting == 0


def test_an_outcome_that_is_none_is_refused_and_changes_nothing():
    pool = Pool([Endpoint("a")], health=HealthSettings())
    lease = pool.acquire()
    with pytest.raises(TypeError, match="outcome is 'success'; it takes an Outcome"):
        lease.release("success")
    assert pool.stats().endpoints[0].in_flight == 1
    lease.release()


def test_a_key_is_a_text():
    pool = Pool(["a"])
    with pytest.raises(TypeError, match="key is 5; it takes a text, or None"):
        pool.acquire(key=5)
