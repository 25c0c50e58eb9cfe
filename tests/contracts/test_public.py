"""The public contract, word for word: users and later versions rely on it. Let it grow; do not break it."""

import builtins
import dataclasses
import inspect
import time
from importlib.util import find_spec

import pytest

import balancer
from balancer import (
    AcquireTimeout,
    BalancerError,
    CannotTell,
    ConfigError,
    DuplicateEndpoint,
    Endpoint,
    EndpointError,
    EndpointOverloaded,
    EndpointStats,
    Lease,
    LeaseError,
    NoEndpoint,
    Outcome,
    Pool,
    PoolClosed,
    PoolStats,
    StrategyError,
    TooManyWaiters,
    UnknownEndpoint,
    load_config,
)

_POSITIONAL = inspect.Parameter.POSITIONAL_OR_KEYWORD
_KEYWORD = inspect.Parameter.KEYWORD_ONLY


def _parameters(call):
    """Return name -> (kind, default), without self."""
    found = inspect.signature(call).parameters.values()
    return {p.name: (p.kind, p.default) for p in found if p.name not in ("self", "cls")}


def _pool():
    return Pool([Endpoint("http://a/", capacity=2), Endpoint("http://b/")], seed=1)


def test_the_names():
    promised = {
        "AcquireTimeout", "BalancerError", "ConfigError", "Endpoint", "EndpointError", "Lease", "LeaseError", "Outcome",
        "Pool", "PoolClosed", "PoolStats", "TooManyWaiters", "WaitInCoroutine", "expand_range",
        "load_config",
    }  # fmt: skip
    assert promised <= {*balancer.__all__, "openai"}
    assert all(
        hasattr(balancer, name) for name in (*balancer.__all__, "BalancedAdapter", "BalancedMiddleware", "openai")
    )


# -- endpoint, outcome, lease -------------------------------------------------------------------------


def test_an_endpoint_is_frozen_and_has_these_fields_and_defaults():
    endpoint = Endpoint("http://10.0.0.1:8080/")
    assert dataclasses.asdict(endpoint) == {
        "url": "http://10.0.0.1:8080/",
        "name": "http://10.0.0.1:8080/",
        "capacity": 1,
        "weight": 1.0,
        "labels": frozenset(),
        "host": "10.0.0.1",
        "headers": {},
        "group": 0,
        "quota": None,
    }
    with pytest.raises(dataclasses.FrozenInstanceError):
        endpoint.capacity = 2


def test_an_endpoint_takes_all_but_its_url_by_name():
    kinds = {name: kind for name, (kind, _) in _parameters(Endpoint).items()}
    named = ("name", "capacity", "weight", "labels", "host", "headers", "group", "quota")
    assert kinds == {"url": _POSITIONAL, **dict.fromkeys(named, _KEYWORD)}


def test_the_outcomes():
    assert [outcome.name for outcome in Outcome] == ["SUCCESS", "FAILURE", "OVERLOAD", "IGNORED"]


# -- pool ---------------------------------------------------------------------------------------------


def test_the_pool_takes_endpoints_and_the_rest_by_name():
    found = _parameters(Pool)
    assert found.pop("endpoints")[0] is _POSITIONAL
    promised = {"strategy": "least_in_flight", "options": None, "seed": None, "max_waiters": None}
    assert promised.items() <= {name: default for name, (_, default) in found.items()}.items()
    assert {kind for kind, _ in found.values()} == {_KEYWORD}


_ASKED = (
    "(timeout=None, *, labels=(), exclude=(), priority=0, slots=1, key=None, holder='', ttl_s=None, tokens=None, "
    "only=None)"
)


@pytest.mark.parametrize(
    ("call", "takes"),
    [
        (Pool.acquire, _ASKED),
        (Pool.lease, _ASKED),
        (Pool.from_config, f"(config, *, registry=None, clock={time.monotonic}, discover=True)"),
        (Pool.add, "(endpoint)"),
        (Pool.drain, "(url)"),
        (Pool.remove, "(url)"),
        (Pool.update, "(url, *, capacity=None, weight=None, labels=None, group=None)"),
        (Pool.set_strategy, "(name, **options)"),
        (Pool.stats, "()"),
        (Pool.close, "()"),
        (Lease.release, "(outcome=None, *, tokens=None, load=None)"),
        (load_config, "(path, *, environ=None)"),
    ],
    ids=lambda value: getattr(value, "__qualname__", ""),
)
def test_the_calls(call, takes):
    found = [each for name, each in inspect.signature(call).parameters.items() if name not in ("self", "cls")]
    assert str(inspect.Signature([each.replace(annotation=inspect.Parameter.empty) for each in found])) == takes


# -- stats --------------------------------------------------------------------------------------------


def test_the_figures_of_a_pool():
    stats = _pool().stats()
    assert isinstance(stats, PoolStats)
    assert isinstance(stats.endpoints, tuple)
    for name in ("acquired", "timed_out", "waiting", "acquire_rate", "jain", "balance_score"):
        assert isinstance(getattr(stats, name), int | float)
    assert [field.name for field in dataclasses.fields(stats.wait_s)] == ["mean", "p50", "p90", "p99", "max"]
    promised = ("url", "name", "state", "in_flight", "limit", "leases", "failures", "share", "busy_s")
    assert set(promised) <= {field.name for field in dataclasses.fields(EndpointStats)}
    with pytest.raises(dataclasses.FrozenInstanceError):
        stats.acquired = 1


# -- errors -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "fields"),
    [
        (AcquireTimeout(0.5, 1.0), {"waited_s": 0.5, "timeout_s": 1.0}),
        (PoolClosed(), {}),
        (TooManyWaiters(3, 2), {"waiting": 3, "limit": 2}),
        (
            NoEndpoint(frozenset({"gpu"}), frozenset({"http://a/"}), 2),
            {"labels": frozenset({"gpu"}), "exclude": frozenset({"http://a/"}), "endpoints": 2},
        ),
        (UnknownEndpoint("http://c/", ["http://a/"]), {"url": "http://c/", "known": ("http://a/",)}),
        (DuplicateEndpoint("http://a/"), {"url": "http://a/"}),
        (LeaseError(7, "was already released"), {"lease_id": 7}),
        (StrategyError("mine", "picked nobody"), {"strategy": "mine"}),
        (ConfigError("pool.seed: found 'x'"), {"problems": ("pool.seed: found 'x'",)}),
        (EndpointError("boom", endpoint="http://a/"), {"endpoint": "http://a/", "reason": "boom"}),
        (CannotTell("told", endpoint="http://a/"), {"endpoint": "http://a/", "reason": "told"}),
        (
            EndpointOverloaded("busy", endpoint="http://a/", retry_after_s=2.0),
            {"endpoint": "http://a/", "reason": "busy", "retry_after_s": 2.0},
        ),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_an_error_has_one_root_one_line_and_its_facts_as_fields(error, fields):
    assert isinstance(error, BalancerError)
    assert str(error)
    assert "\n" not in str(error)
    assert {name: getattr(error, name) for name in fields} == fields


def test_a_star_import_hides_no_package_and_no_builtin():
    """`from balancer import *` once made a program's `openai` the function of this package."""
    hidden = {name for name in balancer.__all__ if find_spec(name) is not None or hasattr(builtins, name)}
    assert hidden == set()
    assert find_spec("openai") is not None
