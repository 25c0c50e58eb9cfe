"""Sandboxes of E2B, against a server with the documented API."""

import logging
from collections.abc import Iterator
from typing import Any

import pytest

from balancer import AcquireTimeout, ConfigError, NoEndpoint, Pool
from balancer.provider import ProviderError
from balancer.provisioning.providers.e2b import E2bProvider
from balancer.source import EndpointTemplate
from tests.discovery.servers import until
from tests.patience import PATIENCE_S
from tests.provisioning.e2b_server import E2bServer

_LABEL = "it's mine & yours@host"


@pytest.fixture
def server() -> Iterator[E2bServer]:
    made = E2bServer()
    yield made
    made.close()


def _options(server: E2bServer, **more: Any) -> dict[str, Any]:
    address = f"{server.url}/box/{{id}}"
    return {"template": "t", "api_key": server.key, "url": server.url, "address": address, **more}


def _provider(server: E2bServer, **more: Any) -> E2bProvider:
    options = E2bProvider.Options.model_validate(_options(server, **more))
    return E2bProvider(options, EndpointTemplate(capacity=2, headers={"X-Mine": "1"}))


def test_a_sandbox_from_its_creation_to_its_end(server: E2bServer) -> None:
    provider = _provider(server, path="/v1", env={"A": "b"}, internet=False, timeout_s=100)
    made = provider.create(_LABEL, "k1")
    assert server.exists[made.id] == {
        "templateID": "t",
        "timeout": 100,
        "metadata": {"balancer-label": _LABEL, "balancer-key": "k1"},
        "allow_internet_access": False,
        "network": {"allowPublicTraffic": False},
        "envVars": {"A": "b"},
    }
    assert made.endpoint.url == f"{server.url}/box/{made.id}/v1"
    assert made.endpoint.capacity == 2
    assert dict(made.endpoint.headers) == {"X-Mine": "1", "e2b-traffic-access-token": f"token-of-{made.id}"}
    assert made.lives_s == 90.0
    assert [provider.ready(made), provider.ready(made)] == [False, True]
    assert provider.find(_LABEL) == {made.id: "k1"}
    provider.destroy(made.id)
    provider.destroy(made.id)  # one that does not exist is no error
    assert provider.find(_LABEL) == {}
    assert not provider.ready(made)


def test_a_list_has_pages_and_only_those_with_the_label(server: E2bServer) -> None:
    server.most, server.unfiltered = 9, True
    provider = _provider(server)
    mine = {provider.create(_LABEL, f"k{number}").id: f"k{number}" for number in range(5)}
    provider.create("another", "x")
    assert provider.find(_LABEL) == mine


def test_a_public_sandbox_has_no_token(server: E2bServer) -> None:
    made = _provider(server, private=False).create(_LABEL, "k")
    assert "e2b-traffic-access-token" not in made.endpoint.headers


@pytest.mark.parametrize(
    ("status", "refused", "said"),
    [(429, False, "reached a limit"), (401, True, "wrong"), (404, True, "status 404"), (500, False, "status 500")],
)
def test_what_an_answer_means(server: E2bServer, status: int, refused: bool, said: str) -> None:
    server.failing = [status]
    with pytest.raises(ProviderError, match=said) as caught:
        _provider(server).create(_LABEL, "k")
    assert caught.value.refused is refused
    assert server.key not in str(caught.value)


def test_an_unknown_address_is_refused(server: E2bServer) -> None:
    with Pool() as pool, pytest.raises(ConfigError, match="address takes"):
        pool.provision("e2b", _options(server, address="https://{nonsense}"), most=1)


def test_a_pool_on_an_account(server: E2bServer, caplog: pytest.LogCaptureFixture) -> None:
    server.failing = [500]
    with caplog.at_level(logging.DEBUG), Pool() as pool:
        made = pool.provision("e2b", _options(server), most=3, creations_per_s=1e6, label=f"{_LABEL}-{server.url}")
        with pool.lease(PATIENCE_S) as one, pool.lease(PATIENCE_S) as two:
            assert {one.endpoint.name, two.endpoint.name} == {"e2b/i1", "e2b/i2"}
            assert one.endpoint.headers["e2b-traffic-access-token"].startswith("token-of-i")
            assert "token-of" not in repr(one) + repr(pool.stats()) + repr(made)
        assert made.counts.failed == 1
    assert not server.exists
    assert server.key not in caplog.text
    assert "token-of" not in caplog.text
    assert "account e2b: E2B: " in caplog.text


def test_a_wrong_key_fails_calls_at_once(server: E2bServer, caplog: pytest.LogCaptureFixture) -> None:
    with Pool() as pool:
        pool.provision("e2b", _options(server, api_key="wrong-key-x"), most=3, label=f"{_LABEL}-{server.url}")
        until(lambda: pool.stats().sources[0].failures > 0)
        until(lambda: not _waits(pool))
        assert "status 401; the token is wrong" in pool.stats().sources[0].trouble
    assert "wrong-key-x" not in caplog.text
    assert not server.exists


def _waits(pool: Pool) -> bool:
    try:
        pool.acquire(timeout=0)
    except NoEndpoint:
        return False
    except AcquireTimeout:
        return True
    raise AssertionError("there is no endpoint")
