"""`balancer check` of a pool: groups, names and quotas are shown, and what may not do what was meant is told."""

import json

import pytest

from balancer.commands.check import check_config
from balancer.errors import ConfigError
from balancer.plugins.registry import default_registry
from balancer.settings.config import load_config
from tests.apis.api import Api, Reply, as_json, serving

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
def check(tmp_path):
    def checked(text, offline=True):
        file = tmp_path / "c.toml"
        file.write_text(text)
        return check_config(load_config(file), default_registry(), offline=offline)

    return checked


def _warnings(checked):
    shown = [line.removeprefix("warning    ") for line in checked.lines if line.startswith("warning    ")]
    assert shown == checked.data["warnings"]
    return shown


def test_tenants_are_shown_and_a_holder_that_is_no_tenant_is_told(check):
    checked = check(
        '[[proxy.tenants]]\nname = "team-a"\ntoken = "0123456789abcdef"\n[pool]\nfairness = "holder"\n'
        '[holders."*"]\nweight = 1\n[holders.team-a]\nweight = 2\n[holders.team_a]\nweight = 3\n'
        '[[endpoints]]\nurl = "http://h-{1..2}/"\n'
    )
    assert "tenants    team-a" in checked.lines
    assert checked.data["tenants"] == ["team-a"]
    assert _warnings(checked) == [
        "holders.team_a: no tenant of the proxy has this name; it counts only for other programs that share the pool; "
        "did you mean 'team-a'?"
    ]


def test_groups_names_and_quotas_are_shown(check):
    checked = check("[pool]\nspill_after_s = 2.5\n" + _GROUPS + _QUOTA)
    for line in (
        "endpoints  4 with 88 slots",
        "           http://gpu-3:1/v1 capacity 8, weight 1, group 0",
        "           key one at https://api.example/v1 capacity 64, weight 1, group 1, quota one",
        "quota      one: tokens_per_min = 1000, estimate = 9",
    ):
        assert line in checked.lines
    last = json.loads(json.dumps(checked.data))["endpoints"][-1]
    assert (last["name"], last["group"], last["quota"]) == ("key one", 1, "one")


@pytest.mark.parametrize(
    ("more", "warned"),
    [
        ("", "group 1 is not used if all of group 0 fails, because 3 of 4 endpoints are in that group, and 2 can be"),
        ("[health]\nmax_ejected_share = 1.0\n", ""),
        (
            "[health]\nenabled = false\n",
            "group 1 is used only when group 0 is drained, because health is off and there is",
        ),
        ("[health]\nenabled = false\n[pool]\nspill_after_s = 1\n", ""),
    ],
    ids=["as by default", "as the guide says", "no health", "no health, but spilling"],
)
def test_a_group_that_would_never_be_used_is_told(check, more, warned):
    (*lines,) = _warnings(check(_GROUPS + more))
    assert len(lines) == bool(warned)
    assert warned in "".join(lines)


def test_weights_that_round_robin_ignores_are_told(check):
    config = (
        '[pool]\nstrategy = "{}"\n[[endpoints]]\nurl = "http://a:1/"\nweight = 2\n[[endpoints]]\nurl = "http://b:1/"\n'
    )
    (line,) = _warnings(check(config.format("round_robin")))
    assert line.startswith("pool.strategy: round_robin ignores weights")
    assert _warnings(check(config.format("weighted_round_robin"))) == []


def test_other_settings_that_do_nothing_are_told(check):
    config = "pool.spill_after_s = 1\nquotas.q.tokens_per_min = 5\n[[endpoints]]\nurl = 'http://a:1/'\nquota = 'q'"
    spill, quota = _warnings(check(config))
    assert spill.startswith("pool.spill_after_s: all endpoints have one group")
    assert quota.startswith("quotas.q: tokens_per_min without estimate")


# -- what an endpoint answers ----------------------------------------------------------------------


class _Models(Api):
    """Lists a model to who has the token; knows nothing else."""

    def answer(self, asked):
        if asked.path != "/v1/models":
            return Reply(404)
        good = asked.headers.get("authorization") == "Bearer good"
        return as_json({"data": [{"id": "m"}]}) if good else Reply(401)


@pytest.fixture(scope="module")
def models():
    with serving(_Models()) as place:
        yield f"http://{place}"


@pytest.mark.parametrize(
    ("path", "token", "answers", "said"),
    [
        ("/v1", "good", True, "answers"),
        ("/v1", "bad", False, "it refuses the headers of the config with 401; look at the token in them"),
        ("/v1", None, None, "answers 401: it wants a token, and the config has none for it"),
        ("/", None, None, "accepts connections"),
    ],
)
def test_a_pool_without_a_pipeline_is_asked_what_can_be_asked_and_no_more_is_claimed(
    path, token, answers, said, models, check
):
    headers = "" if token is None else f'headers = {{ Authorization = "Bearer {token}" }}\n'
    checked = check(f'[[endpoints]]\nurl = "{models}{path}"\n{headers}', offline=False)
    (endpoint,) = checked.data["endpoints"]
    assert (endpoint["answers"], endpoint["said"] or endpoint["error"]) == (answers, said)
    assert bool(checked.silent) is (said != "answers" and said != "accepts connections")
    assert not [line for line in checked.lines if line.startswith("languages")]  # nobody has run a program
    assert token is None or token not in "\n".join((*checked.lines, *checked.silent))


def test_an_endpoint_without_its_token_is_no_mistake_while_another_serves(models, check):
    checked = check(f'[[endpoints]]\nurl = "{models}/v1"\n[[endpoints]]\nurl = "{models}/"\n', offline=False)
    said, other = (each["said"] for each in checked.data["endpoints"])
    assert said == "answers 401: it wants a token, and the config has none for it"
    assert (other, checked.silent) == ("accepts connections", [])


def test_a_scenario_is_no_config_and_gets_one_line(check):
    with pytest.raises(ConfigError, match=r"c\.toml: this is a scenario of the simulator.*balancer simulate reads it"):
        check('name = "x"\nhorizon_s = 9\n[workload]\nkind = "poisson"\n[[endpoints]]\nspeed = 2\n')
