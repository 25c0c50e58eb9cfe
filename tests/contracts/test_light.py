"""What a plain install brings, what a pool loads of it, and what is said where an extra is missing.

A plain install is played in a process of its own, in which every package that it would not bring is absent.
"""

import re
import subprocess
import sys
import tomllib
from functools import cache
from importlib.metadata import packages_distributions, requires

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from balancer.plugins.extras import EXTRAS
from balancer.plugins.registry import built_ins
from tests.contracts.documents import ROOT
from tests.patience import PATIENCE_S
from tests.unit.test_plugins import install

_OURS = {"balancer", "balancer_strategies", "balancer_simulator"}
_PLAIN = {"pluggy", "pydantic", "typer", "rich"}
_POOL = "import sys\nfrom balancer import Endpoint, Pool\npool = Pool([Endpoint('http://a/')])\n"


@cache
def brought(extras=frozenset()):
    """Return the distributions that an install with these extras brings, by their canonical names."""
    seen = set()
    todo = [("balancer", extra) for extra in ("", *extras)]
    while todo:
        name, extra = each = todo.pop()
        if each in seen:
            continue
        seen.add(each)
        for requirement in map(Requirement, requires(name) or ()):
            if requirement.marker is None or requirement.marker.evaluate({"extra": extra}):
                todo += [(canonicalize_name(requirement.name), of) for of in ("", *requirement.extras)]
    return frozenset(name for name, _ in seen)


@cache
def _modules():
    """Return the distributions, by their canonical names, of each module that is not the standard library's."""
    return {module: frozenset(map(canonicalize_name, names)) for module, names in packages_distributions().items()}


def _python(*arguments, folder):
    return subprocess.run([sys.executable, *arguments], cwd=folder, capture_output=True, text=True, timeout=PATIENCE_S)


def _in_a_plain_install(code, folder):
    absent = sorted(module for module, names in _modules().items() if not names & brought() and module not in _OURS)
    assert {"numpy", "httpx2", "yaml", "jinja2", "simpy", "hypothesis"} <= set(absent)
    assert not {"pydantic", "typer", "rich", "pluggy"} & set(absent)
    hide = f"import sys\nsys.modules.update(dict.fromkeys({absent}))\n"
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", hide + code],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
    )


def _command(*arguments, folder):
    code = f"sys.argv = {['balancer', *arguments]}\nfrom balancer.commands.app import main\nmain()"
    return _in_a_plain_install(code, folder)


# -- what a pool loads -----------------------------------------------------------------------------


def _loaded(code, folder=ROOT):
    ran = _python("-W", "error", "-c", code + "\nprint(*sys.modules)", folder=folder)
    assert ran.returncode == 0, ran.stderr
    return set(ran.stdout.split())


def test_a_name_loads_what_it_needs_and_a_pool_in_a_module_needs_no_library():
    """What is slow to import comes with the first pool, or not at all; a command minds ctrl-C before it."""
    bare = _loaded("import sys, importlib, typing")
    assert {each for each in _loaded("import sys, balancer") - bare if each.startswith("balancer")} == {"balancer"}
    named = _loaded("import sys\nfrom balancer import Endpoint, EndpointError, Lease, Pool")
    tops = {module.partition(".")[0] for module in named - bare}
    assert not tops & _modules().keys() - _OURS
    assert not named & {"asyncio", "balancer.plugins", "importlib.metadata", "ssl", "socket"}
    listed = _loaded(
        "import sys\nfrom balancer.commands.app import make_app\n"
        "from balancer.plugins.registry import default_registry\nmake_app(default_registry())"
    )
    assert "typer" in listed
    assert not listed & {"pydantic", "balancer.opening", "balancer.core", "balancer_strategies", "numpy", "uvicorn"}
    entry = _loaded("import sys, balancer.__main__")
    assert not entry & {
        "balancer.opening",
        "balancer.core",
        "balancer.settings",
        "balancer.plugins",
        "typer",
        "pydantic",
    }


def test_a_pool_loads_pluggy_and_no_other_library_and_of_itself_what_leases_an_endpoint():
    loaded = _loaded(_POOL)
    before = _loaded("import sys")  # what the environment itself loads
    tops = {module.partition(".")[0] for module in loaded - before}
    assert tops & _modules().keys() - _OURS == {"pluggy"}
    rooms = {".".join(module.split(".")[:2]) for module in loaded if module.startswith("balancer.")}
    assert rooms <= {
        "balancer.answers", "balancer.core", "balancer.endpoint", "balancer.errors", "balancer.hookspecs",
        "balancer.kit", "balancer.opening", "balancer.plugins", "balancer.pool", "balancer.settings",
        "balancer.shells", "balancer.strategy", "balancer.values",
    }  # fmt: skip
    assert not loaded & {"balancer.settings.tables", "tomllib", "balancer.opening.aio", "asyncio", "trio"}


def test_a_pool_with_a_built_in_strategy_loads_no_third_party(tmp_path):
    (tmp_path / "heavy.py").write_text("raise SystemExit('loaded')")
    install(tmp_path, "heavy", "heavy = heavy")
    here = f"import sys\nsys.path.insert(0, {str(tmp_path)!r})\n"
    assert "heavy" not in _loaded(here + _POOL)
    ask = (
        "from balancer.plugins import default_registry\n"
        "assert [broken.plugin for broken in default_registry().broken] == ['heavy']"
    )
    assert "balancer.pipeline.generators.mutate" in _loaded(here + _POOL + ask)


# -- a plain install -------------------------------------------------------------------------------


def test_a_plain_install_asks_for_these_distributions_and_no_other():
    asked = [Requirement(line) for line in requires("balancer") or ()]
    plain = {each.name for each in asked if each.marker is None or each.marker.evaluate({"extra": ""})}
    assert plain <= _PLAIN


@pytest.mark.sampled(7)
@pytest.mark.parametrize("extra", sorted(EXTRAS))
def test_an_extra_brings_the_modules_that_are_looked_for(extra):
    if "ray" in EXTRAS[extra] and "ray" not in _modules():
        pytest.skip("not run: Ray is not installed; make ray")
    for module in EXTRAS[extra]:
        assert _modules()[module] & brought(frozenset({extra})), module
        assert not _modules()[module] & brought(), module


def test_every_extra_is_in_all():
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    (all_of,) = map(Requirement, extras["all"])
    # The last two are for those who work on it; Ray is as large as all that the others bring.
    assert all_of.extras == extras.keys() - {"all", "ray", "dev", "docs"}
    assert all_of.extras >= EXTRAS.keys() - {"ray"} | {"testing"}


@pytest.mark.sampled(2)
@pytest.mark.parametrize(
    ("arguments", "what", "extra"),
    [
        (("simulate", "no.toml"), '"balancer simulate"', "simulator"),
        (("fit", "no.jsonl"), '"balancer fit"', "simulator"),
        (("sandbox",), '"balancer sandbox"', "serve"),
        (("run", str(ROOT / "examples/quickstart.toml")), '"balancer run"', "pipeline"),
        (("run", str(ROOT / "examples/quickstart.toml"), "--engine", "ray"), '"balancer run"', "pipeline"),
        (("check", str(ROOT / "examples/quickstart.toml")), '"balancer check" of a config with [pipeline]', "pipeline"),
    ],
)
def test_a_command_whose_extra_is_missing_says_which_in_one_line(arguments, what, extra, tmp_path):
    said = _command(*arguments, folder=tmp_path)
    assert said.returncode == 2, said.stderr
    assert said.stdout == ""
    (line,) = said.stderr.splitlines()
    missing = ", ".join(EXTRAS[extra])
    assert line.startswith(f"balancer: {what} needs the extra {extra!r} (missing: {missing}): ")
    # The project is on no index; a checkout that is installed in place is told its own path.
    assert re.search(
        rf": pip install (-e )?'/[^']*\[{extra}\]'$|: install balancer again .* balancer\[{extra}\]$", line
    )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.sampled(3)
@pytest.mark.parametrize(
    ("code", "says"),
    [
        ("balancer.openai(pool)", "balancer.openai needs the extra 'transports'"),
        ("from balancer.ray import SharedPool\nSharedPool('a')", "balancer.ray needs the extra 'ray'"),
        ("balancer.BalancedAdapter(pool)", "BalancedAdapter needs the extra 'transports'"),
    ],
)
def test_what_a_client_goes_through_says_which_extra_is_missing(code, says, tmp_path):
    ran = _in_a_plain_install(f"import balancer\npool = balancer.Pool(['http://a/'])\n{code}", tmp_path)
    assert says in ran.stderr.splitlines()[-1]


@pytest.mark.sampled(1)
@pytest.mark.parametrize("arguments", [("--version",), ("--help",), ("strategies",), ("simulate", "--help")])
def test_other_commands_work_in_a_plain_install(arguments, tmp_path):
    said = _command(*arguments, folder=tmp_path)
    assert (said.returncode, said.stderr) == (0, "")
    assert "broken" not in said.stdout


def test_nothing_that_is_built_in_is_broken_in_a_plain_install(tmp_path):
    code = (
        "import random\nfrom balancer.plugins import Registry\nfrom balancer.program import ExecutorOptions\n"
        "registry = Registry(group=None)\nassert registry.broken == [], registry.broken\n"
        "for name in registry.strategies: registry.strategy(name, None, random.Random(0))\n"
        "registry.executors['local'].item.make('local://', ExecutorOptions()).close()\n"
        "print(len(registry.strategies))"
    )
    ran = _in_a_plain_install(code, tmp_path)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert int(ran.stdout) == len(built_ins("balancer_strategies"))


# -- beside a user's script ------------------------------------------------------------------------
