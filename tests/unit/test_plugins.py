"""Plugins: found by dotted name or entry point; a broken one is named and set aside, the others go on."""

import random
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from textwrap import dedent

import pytest

from balancer.endpoint import Endpoint
from balancer.errors import ConfigError
from balancer.opening.pool import Pool
from balancer.plugins.registry import Registry, default_registry

_HEAD = """
from balancer.hookspecs import ExecutorPlugin, hookimpl
from balancer.strategy import Strategy, StrategyOptions
from pydantic import Field

class Good(Strategy):
    name = "good"
    class Options(StrategyOptions):
        depth: int = Field(2, ge=1, description="how deep")
    def __init__(self, options, rng): self.nodes = []
    def join(self, node, now): self.nodes.append(node)
    def leave(self, node, now): self.nodes.remove(node)
    def change(self, node, now): pass
    def pick(self, request, now): return next((n for n in self.nodes if n.free and request.admits(n.endpoint)), None)
    def finish(self, node, outcome, elapsed_s, now): pass
"""


def offering(strategies):
    return f"{_HEAD}\n@hookimpl\ndef balancer_strategies(): return {strategies}\n"


@pytest.fixture
def modules(tmp_path, monkeypatch):
    """Yield a folder that modules can be imported from; they are forgotten afterwards."""
    monkeypatch.syspath_prepend(tmp_path)
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        del sys.modules[name]


def write(folder, **sources):
    for name, source in sources.items():
        (folder / f"{name}.py").write_text(dedent(source))


def install(folder, distribution, entry_points):
    info = folder / f"{distribution}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[balancer]\n{entry_points}\n")


def reasons(registry):
    return {broken.plugin: broken.reason for broken in registry.broken}


# -- what is sound ---------------------------------------------------------------------------------


def test_the_built_ins_are_sound():
    registry = Registry(group=None)
    assert registry.broken == []
    assert {"fifo", "least_in_flight", "weighted_health"} <= set(registry.strategies)
    # Only so can one be loaded without the others.
    assert all(entry.plugin == f"balancer_strategies.{name}" for name, entry in registry.strategies.items())
    assert set(registry.generators) == {"data", "grammar", "llm", "mutate", "package"}
    others = {f"{kind}+{scheme}" for kind in ("gojudge", "judge0", "piston") for scheme in ("http", "https")}
    assert set(registry.executors) == {"http", "https", "local"} | others


def test_several_threads_may_be_the_first_to_ask():
    registry, start = Registry(), threading.Barrier(8)

    def ask(number):
        start.wait()
        kind = type(registry.strategy("fifo", None, random.Random(0))) if number % 2 else None
        return registry.strategies, kind or registry.strategies["fifo"].item

    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(ask, range(8)))
    assert {id(strategies) for strategies, _ in answers} == {id(registry.strategies)}
    assert {kind for _, kind in answers} == {registry.strategies["fifo"].item}
    assert registry.broken == []


def test_a_third_party_adds_a_strategy_by_an_entry_point(modules):
    write(modules, third=offering("[Good]"))
    install(modules, "third_party", "mine = third")
    registry = Registry()
    assert registry.broken == []
    assert registry.strategies["good"].plugin == "mine"
    pool = Pool([Endpoint("a")], strategy="good", options={"depth": 3}, registry=registry)
    with pool.lease(timeout=0) as lease:
        assert lease.endpoint.url == "a"


def test_a_strategy_need_not_inherit_anything(modules):
    write(modules, third=offering("[Good]").replace("class Good(Strategy)", "class Good"))
    registry = Registry(["third"], group=None)
    assert isinstance(registry.strategy("good", None, random.Random(0)), registry.strategies["good"].item)


# -- what is broken --------------------------------------------------------------------------------

_HOOK = "from balancer.hookspecs import ExecutorPlugin, hookimpl\n@hookimpl\n"
_BROKEN = [
    ("import no_such_module_at_all", "ModuleNotFoundError: No module named 'no_such_module_at_all'"),
    ("def f(:\n", "SyntaxError: invalid syntax (broken.py, line 1)"),
    ("raise SystemExit(3)", "SystemExit: 3"),
    ("1 / 0", "ZeroDivisionError: division by zero"),
    ("raise ValueError('two\\nlines')", "ValueError: two lines"),
    ("x = 1", "ValueError: it implements no hook; mark its functions with @hookimpl"),
    (
        _HOOK + "def balancer_strategys(): return []",
        "PluginValidationError: unknown hook 'balancer_strategys' in plugin",
    ),
    (_HOOK + "def balancer_strategies(pool): return []", "PluginValidationError: Plugin 'broken' for hook"),
    (_HOOK + "def balancer_strategies(): raise SystemExit", "SystemExit:"),
    (
        _HOOK + "def balancer_strategies():\n    yield int\n    1 / 0",
        "TypeError: it offers <class 'int'> under the name",
    ),
    (_HOOK + "def balancer_strategies(): return 'fifo'", "TypeError: it offers 'f' as a strategy"),
    (offering("[Good, Good]"), "ValueError: it offers 'good' twice"),
    (
        offering("[type('A', (Good,), {'name': 'fifo'})]"),
        "ValueError: it offers 'fifo', which plugin 'balancer_strategies.fifo'",
    ),
    (offering("[type('A', (Good,), {'name': ''})]"), "TypeError: it offers <class 'abc.A'> under the name '';"),
    (offering("[type('A', (Good,), {'pick': None})]"), "TypeError: its strategy 'good' lacks pick"),
    (
        offering("[type('A', (Strategy,), {'name': 'a'})]"),
        "TypeError: its strategy 'a' lacks __init__, change, finish, join",
    ),
    (offering("[type('A', (Good,), {'Options': None})]"), "TypeError: its strategy 'good' has the Options None;"),
    (
        offering("[Good]").replace("class Good(Strategy)", "class Good").replace("class Options", "class Optionz"),
        "TypeError: its strategy 'good' has the Options None; that must be a pydantic model",
    ),
    (_HOOK + "def balancer_generators(): return [object()]", "TypeError: it offers <object object at"),
    (
        _HOOK + "def balancer_generators(): return [type('G', (), {'name': 'g'})()]",
        "TypeError: its generator 'g' is <broken.G object",
    ),
    (_HOOK + "def balancer_executors(): return ['http']", "TypeError: it offers 'http' as an executor"),
    (
        _HOOK + "def balancer_executors(): return [ExecutorPlugin('ssh', print, '')]",
        "TypeError: its executor has the schemes 'ssh'; that must be a tuple of strings",
    ),
]


@pytest.mark.parametrize(("source", "reason"), _BROKEN, ids=[reason[:60] for _, reason in _BROKEN])
def test_a_broken_plugin_is_named_and_set_aside_and_the_others_go_on(modules, source, reason):
    write(modules, broken=source, sound=offering("[Good]").replace('"good"', '"sound"'))
    registry = Registry(["balancer_strategies.fifo", "broken", "sound"], group=None)
    assert list(reasons(registry)) == ["broken"]
    found = reasons(registry)["broken"]
    assert found.startswith(reason)
    assert "\n" not in found
    assert list(registry.strategies) == ["fifo", "sound"]
    assert registry.generators == registry.executors == {}
    with pytest.raises(ConfigError) as caught:
        registry.find("sond", registry.strategies, "strategy")
    assert caught.value.problems == (
        "unknown strategy 'sond'; did you mean 'sound'? (there are: fifo, sound)",
        f"plugin 'broken' is broken and is not used: {found}",
    )


def test_a_plugin_stopped_by_ctrl_c_is_named_and_not_blamed(modules):
    write(modules, stopped="raise KeyboardInterrupt")
    registry = Registry(["stopped"], group=None)
    with pytest.raises(KeyboardInterrupt) as caught:
        registry.strategy("good", None, random.Random(0))
    assert caught.value.__notes__ == ["while plugin 'stopped' was loaded"]
    write(modules, stopped=offering("[Good]"))
    assert registry.strategy("good", None, random.Random(0)), "an interrupted load leaves nothing half done"


def test_broken_entry_points_leave_the_sound_one_of_the_same_name_alone(modules):
    write(modules, one=offering("[Good]"), two=offering("[Good]"), three="import no_such_module_at_all")
    install(modules, "dist_a", "mine = one")
    install(modules, "dist_b", "mine = two")
    install(modules, "dist_c", "mine = three")
    registry = Registry(())
    assert list(registry.strategies) == ["good"]
    assert [broken.plugin for broken in registry.broken] == ["mine", "mine"]
    why = sorted(broken.reason for broken in registry.broken)
    assert why[0].startswith("ModuleNotFoundError")
    assert why[1] == "ValueError: another plugin of this name is loaded already; rename its entry point"


def test_an_entry_point_to_nothing_is_broken(modules):
    write(modules, one=offering("[Good]") + "\nnothing = None")
    install(modules, "dist_a", "a = one:missing\nb = one:nothing\nc = one")
    registry = Registry(())
    assert set(reasons(registry)) == {"a", "b"}
    assert list(registry.strategies) == ["good"]


def test_a_command_that_fails_to_be_added_sets_its_plugin_aside(modules):
    commands = "@hookimpl\ndef balancer_commands(app): {}"
    write(modules, bad=f"{_HEAD}\n{commands.format('1 / 0')}", good=f"{_HEAD}\n{commands.format('app.append(5)')}")
    registry = Registry(["bad", "good"], group=None)
    app = []
    registry.add_commands(app)
    assert app == [5]
    assert reasons(registry) == {"bad": "ZeroDivisionError: division by zero"}


# -- options ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "options", "line"),
    [
        ("fifo", {"speed": 1}, "strategy 'fifo', option speed: unknown key (known: none)"),
        (
            "weighted_health",
            {"decay": 1},
            "strategy 'weighted_health', option decay: unknown key; did you mean 'decay_s'? "
            "(known: decay_s, floor, slow_start_s, speed)",
        ),
        ("weighted_health", {"decay_s": 0}, "strategy 'weighted_health', option decay_s: found 0: it must be > 0"),
        ("weighted_health", {"floor": 1.5}, "strategy 'weighted_health', option floor: found 1.5: it must be <= 1"),
    ],
)
def test_a_wrong_option_is_one_line(name, options, line):
    with pytest.raises(ConfigError) as caught:
        default_registry().strategy(name, options, random.Random(0))
    assert caught.value.problems == (line,)


def test_a_text_among_options_may_come_from_the_environment_and_is_not_shown():
    with pytest.raises(ConfigError) as caught:
        default_registry().strategy_options("weighted_health", {"decay_s": "s3cr3t"})
    assert "s3cr3t" not in str(caught.value)


def test_every_strategy_and_option_says_what_it_is():
    for entry in default_registry().strategies.values():
        kind = entry.item
        assert (kind.__doc__ or "").strip()
        for field in kind.Options.model_fields.values():
            assert field.description
