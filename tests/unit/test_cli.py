"""The command line: what each command prints, and the line that each mistake gets, with exit code 2."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from balancer_strategies.fifo import Fifo

from balancer.commands import app as cli
from balancer.errors import EndpointError
from balancer.hookspecs import ExecutorPlugin
from balancer.plugins.registry import Registered, Registry, default_registry
from balancer.strategy import StrategyOptions
from tests.threads.crew import until
from tests.unit.cli_mistakes import ENDPOINT, GOOD, MISTAKES, ODD_PACKAGES, PIPELINE
from tests.unit.command import Said, fake, package
from tests.unit.pipeline.fakes import FakeExecutor
from tests.unit.pipeline.programs import finished

ROOT = Path(__file__).resolve().parents[2]
SECRET = "hunter2-and-more"


# -- what goes well ------------------------------------------------------------------------------------


def test_a_run_prints_a_summary_and_writes_a_report_where_the_command_line_says(balancer):
    package()
    said = balancer("run", "c.toml", "--results", "other/place", "--strategy", "fifo", config=GOOD)
    assert said.code == 0
    assert "two" in said.out
    assert "report: other/place/report.html" in said.out
    summary = json.loads(Path("other/place/summary.json").read_text())
    assert (summary["complete"], summary["unjudged"], summary["survivors"]) == (True, 0, ["two/wrong_answer/two.py"])
    assert summary["strategy"] == "fifo"
    assert Path("other/place/report.html").read_text().startswith("<!")
    assert not Path("results").exists()


def test_check_says_what_would_run_and_runs_nothing(balancer):
    package()
    package("three", **{"submissions/accepted/slow.rb": "..."})
    config = '[[endpoints]]\nurl = "fake://{1..3}/"\ncapacity = 2\nlabels = ["quiet", "big"]\n' + PIPELINE
    said = balancer("check", "c.toml", config=config)
    assert (said.code, said.err) == (0, "")
    for words in (
        "strategy   least_in_flight",
        "endpoints  3 with 6 slots",
        "fake://2/ capacity 2, weight 1, labels big, quiet",
        "languages  python",
        "problems   2 in problems: 3 accepted, 2 wrong submissions",
        "no endpoint runs ruby: 1 submission of 1 problem left out",
        "inputs     from data, package, grammar, mutate: at most 0 beyond a problem's own, seed 1",
        "workers    4 samples x 8 for outputs, 8 for solutions",
        "results    results",
    ):
        assert words in said.out
    assert not Path("results").exists()


def test_check_says_which_protections_are_in_force(balancer, monkeypatch):
    config = '[[endpoints]]\nurl = "fake://{1..2}/"\n' + PIPELINE
    package()
    assert "protection" not in balancer("check", "c.toml", config=config).out  # servers do not tell
    told = (("calls are filtered", "groups count"), ("all runs share this user: run as root",))
    monkeypatch.setattr(FakeExecutor, "protections", told, raising=False)
    said = balancer("check", "c.toml")
    assert "protection calls are filtered; groups count (fake://1/ and 1 more)\n" in said.out
    assert "           NOT in force: all runs share this user: run as root\n" in said.out
    assert json.loads(balancer("check", "c.toml", "--json").out)["protections"] == [
        {"endpoints": ["fake://1/", "fake://2/"], "in_force": list(told[0]), "missing": list(told[1])}
    ]


def test_check_says_which_settings_of_health_limits_and_retries_are_not_the_default(balancer):
    said = balancer("check", "c.toml", config=ENDPOINT)
    for words in ("health     by default\n", "limits     by default\n", "retries    by default\n", "pipeline   none"):
        assert words in said.out
    assert (said.code, "host cap" in said.out) == (0, False)
    other = '[health]\nsuccess_rate = 0\nping = "program"\n[limits]\nkind = "aimd"\n[host_caps]\n"*" = 3\n'
    said = balancer("check", "c.toml", config=ENDPOINT + other)
    for words in (
        "health     success_rate = 0.0, ping = 'program'\n", "limits     kind = 'aimd'\n", "host cap   3 slots on *\n",
    ):  # fmt: skip
        assert words in said.out
    said = balancer("check", "c.toml", config=ENDPOINT + "[health]\nenabled = false\n")
    assert "health     off\n" in said.out


def test_the_examples_pass(balancer, monkeypatch):
    monkeypatch.setattr(cli, "default_registry", default_registry)
    monkeypatch.chdir(ROOT)
    said = balancer("check", "examples/production.toml", "--offline")
    assert (said.code, said.err) == (0, "")
    assert "endpoints  4 with 16 slots" in said.out
    assert "workers    4 samples x 8 for outputs, 8 for solutions" in said.out
    assert "strategy   least_in_flight" in said.out
    assert "10.0.0.4:8080" in said.out
    assert balancer("check", "examples/quickstart.toml").code == 0


def test_strategies_lists_all_with_their_options(balancer, registry):
    class Odd(Fifo):
        """[bold]Not markup[/nonsense]."""

    Odd.name = "odd"
    Odd.Options = StrategyOptions
    registry.strategies["odd"] = Registered(Odd, "an odd [plugin]")
    said = balancer("strategies")
    assert said.code == 0
    for name in ("fifo", "least_in_flight", "weighted_health", "decay_s = 30.0", "balancer_strategies.fifo"):
        assert name in said.out
    assert "[bold]Not markup[/nonsense]." in said.out
    assert "an odd [plugin]" in said.out


# -- demo ----------------------------------------------------------------------------------------------


def test_the_demo_has_a_server_that_dies_and_comes_back(balancer):
    said = balancer("demo", "--seconds", "0.5")
    assert (said.code, said.err) == (0, "")
    first, where, *_, last = said.out.splitlines()
    assert first == "a pool of 5 servers with 20 slots, and 20 callers: 0.5 s"
    assert where.startswith("page at http://127.0.0.1:")
    assert "server-3 dies" in said.out
    assert "server-3 is up again" in said.out
    assert re.match(r"\d+ calls answered, \d+ lost; ", last)


# -- mistakes in a config ------------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["check", "run"])
@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_in_a_config_is_a_line(balancer, command, mistake):
    package()
    config, line = MISTAKES[mistake]
    said = balancer(command, "c.toml", config=config)
    assert said.refusal.startswith(line)
    if command == "run":
        assert said.out == ""


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["rnu", "c.toml"], "No such command 'rnu'"),
        (["run"], "Missing argument 'CONFIG'"),
        (["run", "c.toml", "--frsh"], "--fresh"),
        (["check", "c.toml", "--strategy"], "requires an argument"),
    ],
)
def test_a_mistake_on_the_command_line_is_told(balancer, args, words):
    line = balancer(*args, config=GOOD).refusal
    assert words in line
    assert "--help)" in line


def test_run_needs_a_pipeline(balancer):
    line = balancer("run", "c.toml", config=ENDPOINT).refusal
    assert line == 'c.toml: [pipeline]: is missing; add it, with at least problems = "FOLDER"'


# -- mistakes in packages ------------------------------------------------------------------------------


@pytest.mark.sampled(5)
@pytest.mark.parametrize("command", ["check", "run"])
@pytest.mark.parametrize("odd", ODD_PACKAGES)
def test_a_package_that_cannot_be_used_is_a_line(balancer, command, odd):
    changes, line = ODD_PACKAGES[odd]
    package("two", **changes)
    assert balancer(command, "c.toml", config=GOOD).refusal.startswith(f"problems/two/{line}")
    assert not Path("results").exists()


# -- a run that judged nothing -------------------------------------------------------------------------


def test_a_run_that_judged_nothing_is_no_success_and_says_why(balancer, registry):
    package()

    def dead(url, options):
        return FakeExecutor(always=EndpointError("connection refused", endpoint=url))

    registry.executors["fake"] = Registered(ExecutorPlugin(("fake",), dead, "in memory"), "tests")
    said = balancer("run", "c.toml", config=GOOD + "attempts = 1\noutage_s = 0\n")
    assert said.code == 3
    assert "Nothing was judged, because the infrastructure failed: " in said.out
    assert "connection refused" in said.out.partition("Nothing was judged")[2]
    assert "never ejected, healthy" not in said.out
    assert "stopped" not in said.out
    summary = json.loads(Path("results/summary.json").read_text())
    assert (summary["complete"], summary["judged"], summary["unjudged"]) == (False, 0, 1)
    said = balancer("run", "c.toml", "--json")
    assert (said.code, json.loads(said.out)["complete"]) == (3, False)
    assert "connection refused" in json.loads(said.out)["errors"][0]
    registry.executors["fake"] = Registered(ExecutorPlugin(("fake",), fake, "in memory"), "tests")
    assert balancer("run", "c.toml").code == 0, "the same command tries again"
    assert json.loads(Path("results/summary.json").read_text())["complete"] is True


# -- results folders -----------------------------------------------------------------------------------


def test_a_report_that_cannot_be_written_is_a_line(balancer):
    package()
    Path("results/report.html").mkdir(parents=True)
    Path("results/run.lock").touch()
    assert "report.html" in balancer("run", "c.toml", config=GOOD).refusal


# -- secrets, exit codes, processes --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("config", "line"),
    [
        (ENDPOINT + 'headers = { Authorization = "Bearer ${TOKEN}" }\n' + PIPELINE, ""),
        (ENDPOINT + 'headers = { A = "${TOKEN}\\n" }\n' + PIPELINE, "endpoints[0].headers: found a value that is not"),
        (ENDPOINT + f'headers = {{ Authorization = ["{SECRET}"] }}\n' + PIPELINE, "endpoints[0].headers."),
        (ENDPOINT + 'capacity = "${TOKEN}"\n' + PIPELINE, "endpoints[0].capacity: found"),
        (f'[[endpoints]]\nurl = "http://me:{SECRET}@a/"\n' + PIPELINE, "endpoints[0].url: "),
        ('[[endpoints]]\nurl = "${TOKEN}://x/"\n' + PIPELINE, "endpoint ${TOKEN}://x/: unknown endpoint scheme"),
        ('[pool]\nstrategy = "${TOKEN}"\n' + GOOD, "pool: unknown strategy '${TOKEN}'"),
        (
            '[pool]\nstrategy = "weighted_health"\noptions = { decay_s = "${TOKEN}" }\n' + GOOD,
            "pool: strategy 'weighted_health', option decay_s: found a value that is not shown",
        ),
        (ENDPOINT + '[pipeline]\nproblems = "no/${TOKEN}"\n', "no/${TOKEN}: not a folder"),
    ],
)
def test_secrets_are_never_shown_nor_written(balancer, monkeypatch, config, line):
    monkeypatch.setenv("TOKEN", SECRET)
    package()
    for command in (["check"], ["run"], ["check", "--json"]):
        said = balancer(command[0], "c.toml", *command[1:], config=config)
        assert said.code == (2 if line else 0), said.err
        assert line in said.err + said.out
        assert SECRET not in (said.out + said.err).lower()
    written = [path for path in Path("results").rglob("*") if path.is_file()] if Path("results").exists() else []
    assert written or line
    assert all(SECRET.encode() not in path.read_bytes() for path in written)


def test_a_broken_plugin_is_named_where_it_may_matter(balancer, monkeypatch):
    modules = ("balancer_strategies.fifo", "balancer.sandbox.servers.fusion", "no.such.plugin")
    monkeypatch.setattr(cli, "default_registry", lambda: Registry(modules, group=None))
    said = balancer("check", "c.toml", "--strategy", "magic", config=ENDPOINT.replace("fake", "http"))
    assert said.code == 2
    assert "plugin 'no.such.plugin' is broken and is not used" in said.err
    assert "plugin 'no.such.plugin' is broken and is not used" in balancer("strategies").out


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_run_that_is_stopped_says_so(balancer, registry, number):
    told = threading.Event()

    def stop(*_):
        if not told.is_set():  # a second signal would be meant for this process
            told.set()
            os.kill(os.getpid(), number)
            until(lambda: signal.getsignal(number) is signal.SIG_DFL)  # now the main thread has learnt of it
            threading.Event().wait(0.1)
        return finished(b"2", 42)

    registry.executors["fake"] = Registered(ExecutorPlugin(("fake",), lambda *_: FakeExecutor(stop), ""), "tests")
    package()
    said = balancer("run", "c.toml", config=GOOD)
    assert said.code == 128 + number
    assert said.err == "stopping after the programs that run now; repeat to stop at once\n"
    assert "Not complete: the run was stopped" in said.out
    assert json.loads(Path("results/summary.json").read_text())["complete"] is False


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_before_there_is_anything_to_stop_is_a_line(balancer, monkeypatch, number):
    def interrupted():
        os.kill(os.getpid(), number)
        raise AssertionError("the signal was not heard")

    before = signal.getsignal(number)
    monkeypatch.setattr(cli, "default_registry", interrupted)
    assert balancer("strategies") == Said(128 + number, "", "balancer: stopped\n")
    assert signal.getsignal(number) is before


def test_as_a_process_it_has_no_traceback_and_no_warning(tmp_path):
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-W", "error", "-m", "balancer", "check", "nowhere.toml"]
    ended = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr == (
        "balancer: nowhere.toml: cannot be read: No such file or directory; give the path of a TOML file\n"
    )
