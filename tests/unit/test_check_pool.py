"""`balancer check` of a pool: groups, names and quotas are shown, and what may not do what was meant is told."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from balancer.commands.check import Checked, check_config
from balancer.plugins.registry import default_registry
from balancer.settings.config import load_config

_GROUPS = """
[[endpoints]]
url = "http://gpu-{1..3}:1/v1"
capacity = 8
[[endpoints]]
url = "https://api.example/v1"
name = "key one"
group = 1
capacity = 64
"""
_QUOTA = 'quota = "one"\n[quotas.one]\ntokens_per_min = 1000\nestimate = 9\n'


@pytest.fixture
def check(tmp_path: Path) -> Callable[[str], Checked]:
    def checked(text: str) -> Checked:
        file = tmp_path / "c.toml"
        file.write_text(text)
        return check_config(load_config(file), default_registry(), offline=True)

    return checked


def _warnings(checked: Checked) -> list[str]:
    shown = [line.removeprefix("warning    ") for line in checked.lines if line.startswith("warning    ")]
    assert shown == checked.data["warnings"]
    return shown


def test_groups_names_and_quotas_are_shown(check: Callable[[str], Checked]) -> None:
    checked = check("[pool]\nspill_after_s = 2.5\n" + _GROUPS + _QUOTA)
    for line in (
        "endpoints  4 with 88 slots: 24 in group 0, 64 in group 1",
        "           http://gpu-3:1/v1 capacity 8, weight 1, group 0",
        "           key one at https://api.example/v1 capacity 64, weight 1, group 1, quota one",
        "quota      1000 tokens a minute on endpoints of 'one'",
        "groups     a higher one is used when the lower ones have been full for 2.5 s",
    ):
        assert line in checked.lines
    last = json.loads(json.dumps(checked.data))["endpoints"][-1]
    assert (last["name"], last["group"], last["quota"]) == ("key one", 1, "one")


def test_of_a_plain_pool_nothing_more_is_shown(check: Callable[[str], Checked]) -> None:
    checked = check('[[endpoints]]\nurl = "http://a:1/"\n')
    assert "endpoints  1 with 1 slots" in checked.lines
    assert "           http://a:1/ capacity 1, weight 1" in checked.lines
    assert _warnings(checked) == []


@pytest.mark.parametrize(
    ("more", "warned"),
    [
        (
            "",
            "group 1 is not used if all of group 0 fails, because 3 of 4 endpoints are in that group, and 2 can be",
        ),
        (
            "[health]\nmax_ejected_share = 1.0\n",
            "because with 3 of 4 endpoints ejected, all must serve (panic); set max_ejected",
        ),
        ("[health]\nmax_ejected_share = 1.0\npanic_share = 0.0\n", ""),
        (
            "[health]\nenabled = false\n",
            "group 1 is used only when group 0 is drained, because health is off and there is",
        ),
        ("[health]\nenabled = false\n[pool]\nspill_after_s = 1\n", ""),
    ],
    ids=["as by default", "panic", "as the guide says", "no health", "no health, but spilling"],
)
def test_a_group_that_would_never_be_used_is_told(check: Callable[[str], Checked], more: str, warned: str) -> None:
    (*lines,) = _warnings(check(_GROUPS + more))
    assert len(lines) == bool(warned)
    assert warned in "".join(lines)


def test_weights_that_round_robin_ignores_are_told(check: Callable[[str], Checked]) -> None:
    config = (
        '[pool]\nstrategy = "{}"\n[[endpoints]]\nurl = "http://a:1/"\nweight = 2\n[[endpoints]]\nurl = "http://b:1/"\n'
    )
    (line,) = _warnings(check(config.format("round_robin")))
    assert line.startswith("pool.strategy: round_robin ignores weights")
    assert _warnings(check(config.format("weighted_round_robin"))) == []


def test_other_settings_that_do_nothing_are_told(check: Callable[[str], Checked]) -> None:
    config = '[pool]\nspill_after_s = 1\n[quotas."*"]\ntokens_per_min = 5\n[[endpoints]]\nurl = "http://a:1/"\n'
    spill, quota = _warnings(check(config))
    assert spill.startswith("pool.spill_after_s: all endpoints have one group")
    assert quota.startswith("quotas.*: tokens_per_min without estimate")


@pytest.mark.parametrize(
    ("health", "warned"),
    [
        ("", []),
        ("max_ejected_share = 1.0\npanic_share = 0.0\n", []),
        (
            "max_ejected_share = 1.0\n",
            [
                "health: max_ejected_share = 1 lets 3 of 4 endpoints be ejected, but from 3 on all serve again, also "
                "the ejected ones (panic_share = 0.5); set panic_share = 0.0 if fewer shall serve"
            ],
        ),
    ],
)
def test_a_share_that_ends_in_a_panic_is_told(check: Callable[[str], Checked], health: str, warned: list[str]) -> None:
    endpoints = '[[endpoints]]\nurl = "http://gpu-{1..4}:1/"\n'
    assert _warnings(check(f"[health]\n{health}{endpoints}")) == warned
