"""`balancer run --live` has a page that shows the run as well: how far it is, and how each problem stands."""

import json
import re
import urllib.request
from io import StringIO

import pytest
from rich.console import Console

from balancer.hookspecs import ExecutorPlugin
from balancer.observing.page.serving import TOKEN_VARIABLE
from balancer.pipeline.progress import ProblemStatus, Progress
from balancer.pipeline.round.shell import judge_problem
from balancer.plugins.registry import Registered
from tests.patience import PATIENCE_S
from tests.unit.command import fake, package
from tests.unit.pipeline.bench import Bench
from tests.unit.pipeline.fakes import FakeExecutor
from tests.unit.test_cli import GOOD


def quiet(problems=3):
    return Progress(Console(file=StringIO()), problems, clock=lambda: 7.0)


def test_the_run_is_shown_as_it_is_counted():
    progress = quiet()
    progress.watched = True
    progress.plan("p", 10)
    progress.plan("q", 5)
    progress.advance("p")
    progress.stands("p", lambda: ProblemStatus(0, 4, 2, 3))
    progress.stands("q", lambda: ProblemStatus(1, 6, 0, 3))
    progress.finish("q")
    tables = progress.tables()
    run = tables["run"]
    assert (run["title"], run["done"], run["ahead"], run["left_s"]) == ("1/3 problems", 1, 9, None)
    assert tables["problems"] == [
        {"id": "p", "round": 0, "cases": 4, "survivors": 2, "wrong": 3, "over": False},
        {"id": "q", "round": 1, "cases": 6, "survivors": 0, "wrong": 3, "over": True},
    ]


def test_a_problem_says_how_it_stands_after_each_round(tmp_path):
    bench = Bench(tmp_path)
    with bench.open({"a": FakeExecutor(), "b": FakeExecutor()}) as sample:
        sample.progress.watched = True
        judge_problem(sample)
        (found,) = sample.progress.tables()["problems"]
        wrong = [each for each in bench.problem.submissions if not each.accepted]
        assert found["over"]
        assert (found["round"], found["wrong"]) == (0, len(wrong))
        assert found["cases"] > 0


def test_a_run_has_a_page_that_ends_with_it(balancer, registry, monkeypatch, capsys):
    seen = []

    def looking(url, options):
        executor = fake(url, options)
        run = executor.run

        def look_and_run(*values, **named):
            if not seen:
                page = re.search(r"page at (http://\S+)", capsys.readouterr().err)
                assert page
                with urllib.request.urlopen(page[1] + "state", timeout=PATIENCE_S) as answer:
                    seen.append({"url": page[1], **json.loads(answer.read())})
            return run(*values, **named)

        monkeypatch.setattr(executor, "run", look_and_run, raising=False)
        return executor

    registry.executors["fake"] = Registered(ExecutorPlugin(("fake",), looking, "in memory"), "tests")
    monkeypatch.setenv(TOKEN_VARIABLE, "t0ken-of-the-page-x")
    package()
    assert balancer("run", "c.toml", "--live", "0", config=GOOD.replace("sample_level_workers = 4", "")).code == 0
    (found,) = seen
    assert found["run"]["title"] == "0/1 problems"
    assert found["page"] == {"buttons": True, "name": "c"}
    with pytest.raises(OSError, match="refused"):
        urllib.request.urlopen(str(found["url"]) + "state", timeout=PATIENCE_S)


def test_a_token_of_the_environment_that_can_be_guessed_is_a_line(balancer, monkeypatch):
    monkeypatch.setenv(TOKEN_VARIABLE, "short")
    package()
    line = balancer("run", "c.toml", "--live", "0", config=GOOD).refusal
    assert f"{TOKEN_VARIABLE}: the token has 5 characters" in line
