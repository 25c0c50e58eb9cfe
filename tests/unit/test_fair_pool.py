"""Fair shares in the pool of threads and tasks, in a config, over a server, in the simulator, on the page."""

import threading

import pytest
from balancer_simulator import Scenario, simulate_once
from balancer_simulator.scenario.fields import Policy

from balancer import ConfigError, HolderSettings, Lease, Pool, load_config
from tests.cluster.serving import Serving
from tests.patience import PATIENCE_S
from tests.threads.crew import until

FEW, MANY = 2, 12


def fair_pool(**holders: HolderSettings) -> Pool:
    return Pool(["http://a/"], strategy="fifo", fairness="holder", holders=holders)


def order_of(pool: Pool, names: list[str], pools: dict[str, Pool] | None = None) -> list[str]:
    """Return whose calls got the only slot, in order, of calls that came in the order of `names`."""
    served: list[str] = []

    def call(name: str, of: Pool) -> None:
        with of.lease(PATIENCE_S, holder="" if pools else name):
            served.append(name)

    held = pool.acquire()
    threads = []
    for name in names:
        thread = threading.Thread(target=call, args=(name, pools[name] if pools else pool))
        thread.start()
        threads.append(thread)
        until(lambda: pool.stats().waiting == len(threads))
    held.release()
    for thread in threads:
        thread.join(PATIENCE_S)
    return served


def test_threads_of_a_holder_with_few_calls_do_not_wait_for_all_of_another():
    with fair_pool() as pool:
        served = order_of(pool, ["many"] * MANY + ["few"] * FEW)
    assert served.index("few") == 1  # the other one has had a slot by then, and this one none
    holders = {each.name: each for each in pool.stats().holders}
    assert (holders["few"].leases, holders["many"].leases) == (FEW, MANY)


def test_at_a_server_each_process_is_a_holder():
    with Serving("http://a/", fairness="holder") as server:
        pools = {name: Pool.connect(server.url, name=name) for name in ("many", "few")}
        served = order_of(server.pool, ["many"] * MANY + ["few"] * FEW, pools)
        holders = {each.name: each for each in server.pool.stats().holders}
        for pool in pools.values():
            pool.close()
    assert served.index("few") == 1  # the other one has had a slot by then, and this one none
    assert (holders["few"].leases, holders["many"].leases) == (FEW, MANY)


def test_tokens_that_calls_report_are_counted_without_a_quota():
    with fair_pool() as pool:
        lease: Lease
        with pool.lease(holder="a") as lease:
            assert pool.engine.has_quotas
            lease.used(tokens=12)
        assert pool.stats().holders[0].tokens == 12


def test_a_pool_says_what_fairness_may_be():
    with pytest.raises(ValueError, match=r"fairness is 'key'; it must be \"holder\", or None"):
        Pool(["http://a/"], fairness="key")  # on purpose
    with pytest.raises(ValueError, match="no effect without fairness"):
        Pool(["http://a/"], holders={"a": HolderSettings()})
    with pytest.raises(TypeError, match=r"holders: a is 3; it takes balancer.HolderSettings"):
        Pool(["http://a/"], fairness="holder", holders={"a": 3})  # on purpose
    with pytest.raises(ValueError, match="weight"):
        HolderSettings(weight=0)


def test_a_config_has_holders_only_with_fairness(tmp_path):
    file = tmp_path / "pool.toml"
    holders = "[holders.a]\nweight = 2.0\nmax_leases = 3\n"
    file.write_text(f'[[endpoints]]\nurl = "http://a/"\n{holders}', encoding="utf-8")
    with pytest.raises(ConfigError, match=r'no effect without fairness = "holder"'):
        load_config(file)
    file.write_text(f'[pool]\nfairness = "holder"\n[[endpoints]]\nurl = "http://a/"\n{holders}', encoding="utf-8")
    with Pool.from_config(file) as pool:
        pool.acquire(holder="a").release()
        assert pool.stats().holders[0].weight == 2.0


def test_a_simulated_holder_with_few_calls_waits_less_under_a_fair_policy():
    scenario = Scenario.model_validate(
        {
            "workload": {"kind": "arrivals", "at_s": [0.0] * 220},
            "endpoints": [{"url": "http://a/", "capacity": 4}],
            "requests": {
                "kinds": [
                    {"name": name, "share": share, "holder": name} for name, share in (("many", 10.0), ("few", 1.0))
                ]
            },
        }
    )
    waits = {}
    for fairness in (None, "holder"):
        record = simulate_once(scenario.changed(fairness=fairness), Policy(strategy="fifo"))
        waits[fairness] = {name: kind.metrics["wait_mean_s"] for name, kind in record.kinds.items()}
    assert waits["holder"]["few"] < waits[None]["few"] / 3
    assert waits["holder"]["many"] < waits[None]["many"] * 1.3
