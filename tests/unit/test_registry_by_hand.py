"""A strategy that no plugin offers is added to a registry by hand, and then is one like the others."""

import pytest
from balancer_strategies.fifo import Fifo

from balancer import Endpoint, Pool
from balancer.plugins.registry import Registry


class Mine(Fifo):
    name = "mine"


def test_it_can_be_used_and_replaced():
    registry = Registry()
    registry.add_strategy(Mine)
    assert (
        Pool([Endpoint("http://a/")], strategy="mine", registry=registry).acquire(timeout=0).endpoint.url == "http://a/"
    )

    class Better(Mine):
        pass

    registry.add_strategy(Better)
    assert registry.strategies["mine"].item is Better
    assert "mine" not in Registry().strategies


def test_a_plugin_s_name_and_what_is_no_strategy_are_refused():
    registry = Registry()
    with pytest.raises(ValueError, match=r"'balancer_strategies\.fifo' offers 'fifo' already"):
        registry.add_strategy(type("Other", (Fifo,), {}))
    registry.add_strategy(Fifo)  # the plugin's own class
    assert Pool(["http://a/"], strategy=Fifo, registry=registry).stats().strategy == "fifo"
    with pytest.raises(TypeError, match="that must be a class"):
        registry.add_strategy(object())
    assert registry.strategies["fifo"].plugin == "balancer_strategies.fifo"
    with pytest.raises(TypeError, match=r"strategy is 7; it takes the name of a strategy, or a class"):
        Pool(["http://a/"], strategy=7, registry=registry)


def test_what_is_no_function_is_one_line():
    with pytest.raises(TypeError, match=r"fn is 'x'; it must be a function that takes the lease"):
        Pool(["http://a/"]).call("x")
