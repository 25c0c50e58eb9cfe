"""What new users of the command stepped into: pings, all mistakes at once, JSON, a first config, 80 columns."""

import json
import re
import threading
import time
from pathlib import Path

import pytest
from balancer_simulator import load_scenario

from balancer.commands.init import commented_config
from balancer.commands.pings import unreached
from balancer.errors import EndpointError
from balancer.hookspecs import ExecutorPlugin
from balancer.plugins.registry import Registered, default_registry
from balancer.settings.config import load_config
from tests.registered import NAMES
from tests.unit.cli_mistakes import GOOD, PIPELINE
from tests.unit.command import package
from tests.unit.pipeline.fakes import FakeExecutor

SECRET = "hunter2-and-more"


def serve(registry, *, dead=(), failing=(), asked=None):
    """Let `fake` endpoints answer pings, but for those in `dead`, and run programs, but for those in `failing`."""

    class Pinged(FakeExecutor):
        def __init__(self, url):
            super().__init__(always=EndpointError("an internal error", endpoint=url) if url in failing else None)
            self.url = url

        def ping(self):
            if asked is not None:
                asked.append(self.url)
            if self.url in dead:
                raise EndpointError("connection refused", endpoint=self.url)

    def make(url, options):
        return Pinged(url)

    registry.executors["fake"] = Registered(ExecutorPlugin(("fake",), make, "in memory"), "tests")


# -- check: whether the endpoints answer ---------------------------------------------------------------

THREE = '[[endpoints]]\nurl = "fake://{1..3}/"\n'


def test_check_asks_each_endpoint_and_names_those_that_do_not_answer(balancer, registry):
    package()
    asked = []
    serve(registry, dead=("fake://2/",), failing=("fake://3/",), asked=asked)
    said = balancer("check", "c.toml", config=THREE + PIPELINE)
    assert said.code == 3
    assert sorted(asked) == ["fake://1/", "fake://2/", "fake://3/"]
    for name, word in (("fake://1/", "answers"), ("fake://2/", "DOES NOT ANSWER"), ("fake://3/", "DOES NOT ANSWER")):
        assert f"{name} capacity 1, weight 1: {word}\n" in said.out
    whys = ("connection refused", "an internal error")
    for line, name, why in zip(said.lines, ("fake://2/", "fake://3/"), whys, strict=True):
        assert line.startswith(f"balancer: endpoint {name} does not answer: ")
        assert why in line


def test_check_offline_leaves_the_endpoints_alone(balancer, registry):
    package()
    asked = []
    serve(registry, dead=("fake://2/",), asked=asked)
    said = balancer("check", "c.toml", "--offline", config=THREE + PIPELINE)
    assert (said.code, asked, said.err) == (0, [], "")
    assert "answer" not in said.out.lower()


def test_of_many_endpoints_only_those_that_do_not_answer_are_listed(balancer, registry):
    package()
    serve(registry, dead=("fake://7/", "fake://30/"))
    said = balancer("check", "c.toml", config='[[endpoints]]\nurl = "fake://{1..40}/"\n' + PIPELINE)
    assert said.code == 3
    assert re.findall(r"fake://\d+/", said.out) == ["fake://7/", "fake://30/"]
    assert "38 of 40 answer\n" in said.out


def test_one_that_hangs_holds_nobody_up():
    hanging, asked = threading.Event(), []
    pings = {f"hangs-{n}": hanging.wait for n in range(100)}
    pings |= {"well": lambda: asked.append("well"), "ill": lambda: 1 / 0}
    began_s = time.monotonic()
    found = unreached(pings, within_s=0.6)
    hanging.set()
    assert time.monotonic() - began_s < 30, "100 that hang take two rounds of 0.6 s, not 60 s"
    assert asked == ["well"]
    assert found.pop("ill") == "division by zero"
    assert found == dict.fromkeys((f"hangs-{n}" for n in range(100)), "no answer within 0.6 s")


# -- check: all mistakes at once -----------------------------------------------------------------------

WRONG_NAMES = """
[pool]
strategy = "fifoo"
[[endpoints]]
url = "ftp://a/"
[[endpoints]]
url = "fake://1/"
[pipeline]
problems = "{problems}"
generators = ["mutat", "dat"]
"""
SIGNS_OF_NAMES = (
    "unknown strategy 'fifoo'",
    "unknown endpoint scheme 'ftp'",
    "unknown generator 'mutat'",
    "unknown generator 'dat'",
)


def test_every_wrong_name_of_a_file_is_told_in_one_go(balancer, registry):
    package("two", **{"problem.yaml": "name: [\n"})
    package("three", **{"data/sample/1.in": None, "data/sample/1.ans": None})
    serve(registry)
    said = balancer("check", "c.toml", "--offline", config=WRONG_NAMES.format(problems="problems"))
    assert said.code == 2
    signs = (*SIGNS_OF_NAMES, "problems/two/problem.yaml", "problems/three/data")
    assert [sign for sign in signs if not any(sign in line for line in said.lines)] == []


# -- JSON ----------------------------------------------------------------------------------------------

SCENARIO = """
horizon_s = 50.0
replications = 2
policies = ["fifo", "p2c"]
[workload]
kind = "poisson"
rate_per_s = 1.0
[[endpoints]]
url = "http://{1..2}/"
"""


@pytest.mark.sampled(3)
@pytest.mark.parametrize(
    ("args", "keys"),
    [
        (("run", "c.toml"), {"complete", "judged", "problems", "pool", "report", "per_problem"}),
        (("check", "c.toml"), {"strategy", "endpoints", "languages", "warnings", "pipeline"}),
        (("strategies",), {"strategies", "broken"}),
        (("report", "before"), {"complete", "rounds", "rows_left_out", "report"}),
        (("diff", "before", "after"), {"same", "changed", "verdicts", "counts"}),
        (
            ("simulate", "s.toml", "--jobs", "1", "--out", "out"),
            {"scenario", "ranking", "policies", "differences_to_best", "report"},
        ),
    ],
)
def test_json_is_one_document_and_nothing_else(balancer, args, keys):
    package()
    Path("s.toml").write_text(SCENARIO)
    for folder in [each for each in ("before", "after") if each in args]:
        assert balancer("run", "c.toml", "--results", folder, config=GOOD).code == 0
    said = balancer(*args, "--json", config=GOOD)
    found = json.loads(said.out)
    assert (said.code, found["errors"]) == (0, [])
    assert keys <= found.keys()


@pytest.mark.parametrize(
    ("args", "code", "sign"),
    [
        (("run", "missing.toml"), 2, "missing.toml: cannot be read"),
        (("check", "missing.toml"), 2, "missing.toml: cannot be read"),
        (("check", "c.toml", "--strategy", "fifoo"), 2, "unknown strategy 'fifoo'"),
        (("run", "c.toml", "--strategy", "fifoo"), 2, "unknown strategy 'fifoo'"),
        (("simulate", "missing.toml"), 2, "missing.toml: cannot be read"),
        (("simulate", "s.toml", "--by", "nothing"), 2, "unknown figure 'nothing'"),
        (("simulate", "s.toml", "--frsh"), 2, "--frsh"),
        (("strategies", "more"), 2, "unexpected extra argument"),
    ],
)
def test_errors_are_json_too_with_the_same_exit_code(balancer, args, code, sign):
    package()
    Path("s.toml").write_text(SCENARIO)
    plain = balancer(*args, config=GOOD)
    said = balancer(*args, "--json")
    assert said.code == plain.code == code
    assert said.err == ""
    errors = json.loads(said.out)["errors"]
    assert any(sign in line for line in errors)
    assert errors == [line.removeprefix("balancer: ").replace("--json", "") for line in plain.lines]


# -- init ----------------------------------------------------------------------------------------------


def test_the_first_config_passes_the_check_and_is_never_replaced_by_accident(balancer, monkeypatch):
    monkeypatch.setattr("balancer.commands.app.default_registry", default_registry)
    assert balancer("init", "mine.toml").code == 0
    assert Path("mine.toml").read_text() == commented_config()
    said = balancer("check", "mine.toml", "--offline")
    assert (said.code, said.err) == (0, "")
    Path("mine.toml").write_text("# mine\n")
    said = balancer("init", "mine.toml")
    assert (said.code, said.out) == (2, "")
    assert said.lines == ["balancer: mine.toml: already exists; give another name, or replace it with --force"]
    assert Path("mine.toml").read_text() == "# mine\n"
    assert balancer("init", "mine.toml", "--force").code == 0
    assert balancer("init").code == 0
    assert Path("balancer.toml").read_text() == commented_config()


def test_the_example_is_written_once_and_checked_without_a_mistake(balancer, monkeypatch):
    monkeypatch.setattr("balancer.commands.app.default_registry", default_registry)
    said = balancer("init", "--example")
    assert (said.code, said.err) == (0, "")
    assert said.out.startswith("wrote balancer-example; next: cd balancer-example && balancer run balancer.toml")
    line = balancer("init", "--example").refusal
    assert line == "balancer-example: already exists; give another folder, or write over its files with --force"
    assert balancer("init", "--example", "--force").code == 0
    monkeypatch.chdir("balancer-example")
    told = {"balancer.toml": "2 in problems: 4 accepted", "rows.toml": "4 rows of rows.jsonl: 8 accepted"}
    for config, problems in told.items():
        said = balancer("check", config, "--offline")
        assert (said.code, said.err) == (0, "")
        assert f"problems   {problems}" in said.out
    assert load_scenario(Path("scenario.toml")).replications == 10


def test_a_key_of_the_first_config_can_be_put_to_use(tmp_path):
    """Each comment that is a key is valid where it stands: all at once but for what excludes each other."""
    live = re.sub(r"^# (\[+[\w.]+\]+$|\w+ = |\")", r"\1", commented_config(), flags=re.MULTILINE)
    live = live.replace("output = 0.0", "output = 1.0")
    live = re.sub(r'^kind = "fixed"', 'kind = "aimd"', live, flags=re.MULTILINE)
    live = re.sub("^connect = .*$", "", live, flags=re.MULTILINE)  # with it the endpoints are elsewhere
    live = (
        live.replace("[quotas.NAME]", "[quotas.text]")
        .replace('"*" = 4', '"text" = 4')
        .replace('name = "text"', 'name = "sandbox-{1..2}"')
    )
    (tmp_path / "all.toml").write_text(live)
    config = load_config(tmp_path / "all.toml", environ={})
    assert config.pipeline is not None
    assert config.pipeline.problems == "problems"


# -- completion, help, 80 columns ----------------------------------------------------------------------


@pytest.mark.parametrize("columns", [80, 200])
def test_the_list_of_strategies_fits(balancer, monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", str(columns))
    lines = balancer("strategies").out.splitlines()
    assert max(map(len, lines)) <= columns
    assert [line.split()[0] for line in lines if not line.startswith(" ")] == NAMES
    assert not any("\u2026" in line for line in lines)
