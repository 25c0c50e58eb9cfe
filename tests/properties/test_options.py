"""Options that make no sense are an error that names them; with unusual ones a strategy keeps the contract."""

import random
from collections.abc import Sequence

import pytest
from hypothesis import settings

from balancer.errors import ConfigError
from balancer.plugins.registry import default_registry
from balancer.testing.conformance import SETTINGS, check_strategy
from tests.registered import KINDS

_CALL_TIMES = ("peak_ewma", "c3", "prequal")
_WRONG: list[tuple[str, str, Sequence[object]]] = [
    ("p2c", "choices", [0, -1, 1.5, "many"]),
    ("weighted_least_request", "bias", [-0.1, 10.1, float("nan")]),
    ("weighted_least_request", "bais", [1.0]),
    ("weighted_health", "decay_s", [0, -1, "soon"]),
    ("weighted_health", "floor", [0, 1.1]),
    ("weighted_health", "speed", [-0.1, 2.1]),
    ("weighted_health", "slow_start_s", [-1]),
    ("weighted_health", "deacy_s", [1]),
    ("c3", "clients", [0, 1.5, 10**7]),
    ("prequal", "quantile", [-0.1, 1.1, float("nan")]),
    *((name, "choices", [0, 1.5]) for name in _CALL_TIMES),
    *((name, "decay_s", [0, float("inf")]) for name in _CALL_TIMES),
    *((name, "failure_factor", [0.9, 10_001]) for name in _CALL_TIMES),
    *((name, "tau_s", [1]) for name in _CALL_TIMES),
]


@pytest.mark.parametrize(("name", "option", "value"), [(n, option, v) for n, option, values in _WRONG for v in values])
def test_options_are_checked(name, option, value):
    with pytest.raises(ConfigError, match=f"strategy '{name}', option {option}"):
        default_registry().strategy(name, {option: value}, random.Random(0))


@pytest.mark.sampled(2)
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("weighted_least_request", {"bias": 0.0}),
        ("weighted_least_request", {"bias": 10.0}),
        ("weighted_health", {"decay_s": 0.01, "floor": 1.0}),
        ("weighted_health", {"decay_s": 1e6, "floor": 1e-6, "slow_start_s": 0.0}),
        ("weighted_health", {"speed": 2.0, "slow_start_s": 1000.0}),
        ("weighted_health", {"speed": 0.0, "slow_start_s": 0.0}),
        *((name, {"choices": 1, "decay_s": 1e-9}) for name in _CALL_TIMES),
        *((name, {"choices": 9, "decay_s": 1e9}) for name in _CALL_TIMES),
    ],
)
def test_the_contract_is_kept_with_unusual_options(name, options):
    check_strategy(KINDS[name], options=options, others=[KINDS["fifo"]], settings=settings(SETTINGS, max_examples=20))
