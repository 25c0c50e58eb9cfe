"""Endpoints on demand over a real pool, on an account in memory."""

import asyncio
import logging
import os
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from balancer import AsyncPool, ConfigError, EndpointError, NoEndpoint, Pool
from balancer.commands.check import check_config
from balancer.plugins.registry import Registry
from balancer.provider import ProviderError
from balancer.provisioning.keeper import Provisioning
from balancer.settings.config import load_config
from tests.discovery.servers import until
from tests.patience import PATIENCE_S
from tests.provisioning.fake import FakeAccount, FakeProvider, refuse

_FAST = {"creations_per_s": 1e6, "burst": 100, "idle_s": 1e6}


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch) -> FakeAccount:
    made = FakeAccount()
    monkeypatch.setattr(FakeProvider, "account", made, raising=False)
    return made


@pytest.fixture
def label(tmp_path: object) -> str:
    return f"test-{os.getpid()}-{tmp_path}"


@pytest.fixture
def pool() -> Iterator[Pool]:
    with Pool() as made:
        yield made


def _on(pool: Pool, label: str, **settings: object) -> Provisioning:
    return pool.provision(FakeProvider, label=label, **{"most": 3, **_FAST, **settings})


def test_a_call_that_finds_no_endpoint_gets_a_new_one(account: FakeAccount, pool: Pool, label: str) -> None:
    made = _on(pool, label)
    with pool.lease(PATIENCE_S) as first, pool.lease(PATIENCE_S) as second:
        assert {first.endpoint.name, second.endpoint.name} == {f"fake/{id}" for id in account.exists}
    with pool.lease(PATIENCE_S):  # one that is free is used
        assert len(account.exists) == 2
    assert "2 serve" in repr(made)
    (said,) = pool.stats().sources
    assert (said.name, said.kind, said.endpoints, said.answers, said.trouble) == ("fake", "fake", 2, 2, "")
    assert (said.made, said.not_made) == (2, 0)
    pool.close()
    assert not account.exists
    assert account.closed


def test_at_most_so_many_exist_and_the_others_wait_for_them(account: FakeAccount, pool: Pool, label: str) -> None:
    _on(pool, label, most=2, capacity=2)
    most = []

    def call() -> None:
        with pool.lease(PATIENCE_S):
            most.append(len(account.exists))

    threads = [threading.Thread(target=call) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(most) == 20
    assert max(most) <= 2


def test_a_reserve_is_kept_and_what_is_idle_for_long_goes(account: FakeAccount, pool: Pool, label: str) -> None:
    made = _on(pool, label, warm=1, idle_s=0.0)
    until(lambda: len(pool.endpoints()) == 1)
    assert made.wait(PATIENCE_S)
    with pool.lease(PATIENCE_S), pool.lease(PATIENCE_S):
        until(lambda: made.counts.serving == 3)  # two in use, and the reserve
    until(lambda: made.counts.serving == len(account.exists) == 1)
    assert len(pool.endpoints()) == 1


def test_what_never_gets_ready_is_destroyed(account: FakeAccount, pool: Pool, label: str) -> None:
    account.is_ready = lambda instance: instance.id != "i1"
    made = _on(pool, label, ready_s=0.01)
    with pool.lease(PATIENCE_S) as lease:
        assert lease.endpoint.name == "fake/i2"
        until(lambda: "i1" not in account.exists)
    assert made.counts.failed == pool.stats().sources[0].not_made == 1


def test_what_was_made_though_its_answer_was_lost_is_destroyed(account: FakeAccount, pool: Pool, label: str) -> None:
    def lose(id: str) -> None:
        if id == "i1":
            raise OSError("secret-of-the-answer")

    account.create = lose
    made = _on(pool, label)
    with pool.lease(PATIENCE_S) as lease:
        assert lease.endpoint.name == "fake/i2"
    until(lambda: set(account.exists) == {"i2"})
    assert made.counts.destroyed == 1


def test_what_an_earlier_owner_left_is_destroyed_and_others_are_not(
    account: FakeAccount, pool: Pool, label: str
) -> None:
    account.exists |= {"left": (label, "old"), "other": ("another label", "x")}
    made = _on(pool, label, most=1)
    with pool.lease(PATIENCE_S) as lease:  # the account has room only then
        assert set(account.exists) == {"other", lease.endpoint.name.partition("/")[2]}
    assert made.counts.destroyed == 1


def test_without_an_account_a_call_fails_at_once(account: FakeAccount, pool: Pool, label: str) -> None:
    account.create = refuse
    _on(pool, label)
    with pytest.raises(NoEndpoint):
        pool.acquire()  # for ever
    account.create = str
    until(lambda: _leases(pool))
    assert pool.stats().sources[0].trouble == ""


def _leases(pool: Pool) -> bool:
    try:
        pool.acquire(timeout=PATIENCE_S).release()
    except NoEndpoint:
        return False
    return True


def test_a_failing_list_makes_nothing_and_says_so_without_secrets(
    account: FakeAccount, pool: Pool, label: str, caplog: pytest.LogCaptureFixture
) -> None:
    def fail() -> None:
        raise ValueError("it is down, says top-secret")

    account.find = fail
    pool.hide(lambda text: text.replace("top-secret", "${KEY}"))
    with caplog.at_level(logging.WARNING, "balancer"):
        _on(pool, label, warm=1)
        until(lambda: pool.stats().sources[0].failures > 1)
    assert not account.asked
    assert pool.stats().sources[0].trouble == "it is down, says ${KEY}"
    assert caplog.text.count("account fake: it is down") == 1
    account.find = str
    until(lambda: bool(pool.endpoints()))
    assert "top-secret" not in caplog.text


def test_what_fails_again_and_again_is_replaced(account: FakeAccount, pool: Pool, label: str) -> None:
    _on(pool, label, most=1)
    used = []

    def call_until_it_has_gone() -> bool:
        with suppress(EndpointError), pool.lease(PATIENCE_S) as lease:
            used.append(lease.endpoint.name)
            if used[-1] == "fake/i1":
                raise EndpointError("it is dead")
        return "i1" not in account.exists

    until(call_until_it_has_gone)
    with pool.lease(PATIENCE_S) as lease:
        assert lease.endpoint.name == "fake/i2"


def test_what_is_removed_by_hand_is_destroyed_after_its_leases(account: FakeAccount, pool: Pool, label: str) -> None:
    made = _on(pool, label)
    with pool.lease(PATIENCE_S):
        pool.remove("fake/i1")
        until(lambda: made.counts.leaving == 1)
        assert account.exists
    until(lambda: not account.exists)
    assert not pool.endpoints()


def test_it_is_destroyed_again_until_that_works(account: FakeAccount, pool: Pool, label: str) -> None:
    tries = []

    def stubborn(id: str) -> None:
        tries.append(id)
        if len(tries) == 1:
            raise ProviderError("not now")

    account.destroy = stubborn
    _on(pool, label)
    pool.acquire(PATIENCE_S).release()
    pool.close()
    assert not account.exists
    assert tries == ["i1", "i1"]


def test_the_end_waits_for_creations_and_leaves_nothing(account: FakeAccount, pool: Pool, label: str) -> None:
    begun, gate = threading.Event(), threading.Event()

    def wait(id: str) -> None:
        begun.set()
        gate.wait(PATIENCE_S)

    account.create = wait
    _on(pool, label, warm=1)
    assert begun.wait(PATIENCE_S)
    closing = threading.Thread(target=pool.close)
    closing.start()
    until(lambda: pool.engine.core.closed)
    gate.set()
    closing.join()
    assert not account.exists


def test_the_end_destroys_its_own_only(account: FakeAccount, pool: Pool, label: str) -> None:
    """Also what was made and is not known; not what another owner has made since, e.g. on another machine."""

    def lose(id: str) -> None:
        account.exists["of another"] = label, "its key"
        account.find = refuse  # so that it is not looked for before the end
        raise OSError

    account.create = lose
    made = _on(pool, label, warm=1)
    until(lambda: made.counts.failed == 1)
    account.find = str
    made.close()
    assert set(account.exists) <= {"of another"}


def test_closed_alone_it_leaves_the_pool_to_others(account: FakeAccount, label: str) -> None:
    with Pool(["http://10.0.0.1"]) as pool:
        made = _on(pool, label, warm=1)
        until(lambda: len(pool.endpoints()) == 2)
        made.close()
        made.close()
        assert [each.name for each in pool.endpoints()] == ["http://10.0.0.1"]
        assert not account.exists


def test_one_label_has_one_owner(account: FakeAccount, pool: Pool, label: str) -> None:
    _on(pool, label)
    with Pool() as other, pytest.raises(ConfigError, match="share that pool"):
        _on(other, label)
    pool.close()
    with Pool() as other:
        _on(other, label)


def test_two_accounts_make_one_for_one_caller(account: FakeAccount, pool: Pool, label: str) -> None:
    gate = threading.Event()
    account.create = lambda id: gate.wait(PATIENCE_S)
    one = pool.provision(FakeProvider, name="one", label=f"{label}1", most=3, **_FAST)
    two = pool.provision(FakeProvider, name="two", label=f"{label}2", most=3, **_FAST)
    waiting = threading.Thread(target=lambda: pool.acquire(PATIENCE_S).release())
    waiting.start()
    until(lambda: account.asked > 0)
    gate.set()
    waiting.join()
    until(lambda: not one.counts.creating and not two.counts.creating)
    assert account.asked == 1


def test_labels_of_a_request_count(account: FakeAccount, pool: Pool, label: str) -> None:
    _on(pool, label, labels=["gpu"])
    with pool.lease(PATIENCE_S, labels=["gpu"]) as lease:
        assert lease.endpoint.labels == {"gpu"}
    with pytest.raises(NoEndpoint):
        pool.acquire(labels=["tpu"])


def test_tasks_get_endpoints_and_their_loop_does_not_wait_for_the_end(account: FakeAccount, label: str) -> None:
    async def main() -> None:
        async with AsyncPool() as pool:
            pool.provision(FakeProvider, label=label, most=2, **_FAST)
            async with pool.lease(PATIENCE_S) as lease:
                assert lease.endpoint.name == "fake/i1"

    asyncio.run(main())
    until(lambda: account.closed)
    assert not account.exists


@pytest.mark.filterwarnings("ignore:.*use of fork.*:DeprecationWarning")
def test_a_forked_child_destroys_nothing(account: FakeAccount, pool: Pool, label: str) -> None:
    made = _on(pool, label, warm=1)
    until(lambda: bool(pool.endpoints()))
    destroyed = []
    account.destroy = destroyed.append
    child = os.fork()
    if not child:
        made.close()
        os._exit(len(destroyed))
    assert os.waitpid(child, 0)[1] == 0


@pytest.mark.parametrize("wrong", [{"most": 0}, {"most": 1, "warm": 2}, {"most": 1, "creations_per_s": 0}, {}])
def test_wrong_settings_are_refused(account: FakeAccount, pool: Pool, wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="AccountSettings: "):
        pool.provision(FakeProvider, **wrong)


def test_a_config_has_accounts(account: FakeAccount, label: str, tmp_path: Path) -> None:
    file = tmp_path / "pool.toml"
    file.write_text(
        f'[accounts.box]\nprovider = "fake"\nmost = 2\ncreations_per_s = 1e6\nlabel = "{label}"\n', encoding="utf-8"
    )
    config = load_config(file)
    assert config.pool_endpoints == ()
    registry = Registry(["tests.provisioning.fake", "balancer_strategies.least_in_flight"], None)
    with Pool.from_config(config, registry=registry) as pool, pool.lease(PATIENCE_S) as lease:
        assert lease.endpoint.name == "box/i1"
    assert not account.exists
    checked = check_config(config, registry)
    assert "account    box (fake): at most 2, not asked" in checked.lines
    assert account.asked == 1
    with pytest.raises(ConfigError, match=r"pool\.toml: accounts\.box: unknown provider 'fake'"):
        Pool.from_config(config)
