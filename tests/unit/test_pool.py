"""The pool for threads, as one thread sees it; what threads do to it is in tests/threads."""

from typing import Any

import pytest

from balancer import (
    ConfigError,
    DuplicateEndpoint,
    Endpoint,
    LeaseError,
    NoEndpoint,
    Pool,
    TooManyWaiters,
)
from tests.registered import NAMES


def pool_of(*urls: str, **arguments: Any) -> Pool:
    return Pool([Endpoint(url) for url in urls], **arguments)


def test_an_empty_pool_says_so():
    with pytest.raises(NoEndpoint, match=r"^no endpoint is in service; add one$"):
        Pool().acquire()


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
