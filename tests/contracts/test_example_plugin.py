"""The example of a third party's plugin: it installs, keeps the contract, and works beside one that is broken."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import settings

from balancer.plugins.registry import Registry
from balancer.testing.conformance import check_strategy
from tests.contracts.documents import ROOT
from tests.patience import PATIENCE_S
from tests.registered import KINDS
from tests.unit.test_plugins import install, write

_PLUGIN = ROOT / "examples" / "plugin"
_RUN = Path(__file__).with_name("plugin_run.py")

_CONFIG = """
[pool]
strategy = "sticky"

[[endpoints]]
url = "http://10.0.0.{1..3}:8080/"
"""

_BROKEN_MODULE = """
raise RuntimeError("this plugin was written for another version")
"""


@pytest.fixture
def sticky(monkeypatch):
    monkeypatch.syspath_prepend(_PLUGIN)
    return Registry(["balancer_sticky"], group=None).strategies["sticky"].item


# -- the strategy itself ------------------------------------------------------------------------------


@pytest.mark.sampled(1)
@pytest.mark.parametrize("options", [{}, {"patience": 3}])
def test_it_keeps_the_contract(sticky, options):
    check_strategy(sticky, options=options, others=list(KINDS.values()), settings=settings(max_examples=40))


# -- installed, in a process of its own ---------------------------------------------------------------


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """Return a folder with the example installed, and a broken plugin beside it. Needs no network."""
    folder = tmp_path_factory.mktemp("plugin")
    source, target = folder / "source", folder / "site"
    shutil.copytree(_PLUGIN, source, ignore=shutil.ignore_patterns("__pycache__"))
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet", "--no-index"]
    # Without isolation the build uses the hatchling that is installed here (extra `dev`).
    _run([*pip, "--no-deps", "--no-build-isolation", "--target", str(target), str(source)])
    write(target, balancer_broken=_BROKEN_MODULE)
    install(target, "balancer_broken", "broken = balancer_broken")
    return target


def _run(argv, *, site=None, code=0):
    # Wide enough that rich breaks no line that a test looks for.
    environment = {**os.environ, "COLUMNS": "200", "PIP_ROOT_USER_ACTION": "ignore"}
    if site is not None:
        environment["PYTHONPATH"] = f"{site}{os.pathsep}{ROOT}"
    ran = subprocess.run(argv, env=environment, cwd=site or ROOT, capture_output=True, text=True, timeout=PATIENCE_S)
    assert ran.returncode == code, ran.stdout + ran.stderr
    return ran.stdout + ran.stderr


def _balancer(site, *arguments, code=0):
    main = "from balancer.commands.app import main; main()"
    return _run([sys.executable, "-W", "error", "-c", main, *arguments], site=site, code=code)


def test_it_is_listed_with_its_options_and_the_broken_one_is_named(site):
    listed = _balancer(site, "strategies")
    lines = listed.splitlines()
    assert lines[lines.index("sticky (from sticky)") + 1].startswith(
        "    Stay with one endpoint while it has a free slot"
    )
    assert "patience = 1: failures in a row" in listed
    assert {line.split()[0] for line in lines if " (from " in line} >= set(KINDS)
    assert (
        "plugin 'broken' is broken and is not used: RuntimeError: this plugin was written for another version" in listed
    )


def test_a_config_selects_it_by_name_and_a_pool_leases_by_it(site, tmp_path):
    config = tmp_path / "config.toml"
    config.write_text(_CONFIG)
    assert "strategy   sticky {'patience': 1}" in _balancer(site, "check", str(config))
    printed = _run([sys.executable, "-W", "error", str(_RUN), str(config)], site=site)
    first, second = "http://10.0.0.1:8080/", "http://10.0.0.2:8080/"
    assert printed.split() == ["sticky", first, first, second, second]
