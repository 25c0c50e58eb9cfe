"""docs/judge.md: its lines, called as trainers call them, and `verl_score`.

The calls are written down from the sources of TRL (`GRPOTrainer._calculate_rewards`), open-r1
(`rewards.get_reward_funcs`), open-instruct (`apply_verifiable_reward`), slime (`generate_and_rm_group`) and verl
(`workers/reward_manager`, `experimental/reward_loop`): these packages bring a deep-learning library, which is not
installed here.
"""

import asyncio
import inspect
import json
import logging
import re
from math import nan
from typing import Any

import pytest

from balancer.judge.trainers import async_verl_score, verl_score
from balancer.program import Execution, Program
from tests.contracts.documents import ROOT, blocks
from tests.unit.judge.judges import judge_over
from tests.unit.pipeline.fakes import DOWN, FakeExecutor
from tests.unit.pipeline.programs import finished

RIGHT, WRONG, LOST, NO_CODE = "```python\nright\n```", "```python\nwrong\n```", "```python\nlost\n```", "I do not know."
TESTS = {"inputs": ["1", "2"], "outputs": ["1", "2"]}
ALL = [RIGHT, WRONG, LOST, NO_CODE]


def _answer(program: Program, stdin: bytes, files: object) -> Execution:
    source = program.source.strip()
    if source == "lost":
        raise DOWN
    return finished(stdin if source == "right" or stdin == b"1" else b"no")


@pytest.fixture
def judge():
    with judge_over({"a": FakeExecutor(_answer)}, attempts=1, outage_s=0) as made:
        yield made


@pytest.fixture
def page(judge):
    """Return the names that the first lines of the page make, over another judge."""
    code = next(each.code for each in blocks(ROOT / "docs" / "judge.md") if "def rewards" in each.code)
    own, example = 'judge = Judge(Pool(["local://1", "local://2"]))', "\nprint("
    assert code.count(own) == code.count(example) == 1
    space: dict[str, Any] = {"judge": judge}
    exec(compile(code.replace(own, "").partition(example)[0], "docs/judge.md", "exec", dont_inherit=True), space)
    return space


# -- the page's lines ------------------------------------------------------------------------------------


def test_trl(page):
    logged: dict[str, float] = {}

    def called(completions: list[Any], tests: list[Any]) -> list[float]:
        output = page["rewards"](
            prompts=["p"] * len(completions), completions=completions, completion_ids=[[1, 2]] * len(completions),
            trainer_state=object(), log_extra=lambda column, values: None, log_metric=logged.__setitem__, tests=tests,
        )  # fmt: skip
        return [each if each is not None else nan for each in output]

    assert called(ALL, [TESTS] * 4) == pytest.approx([1, 0, nan, 0], nan_ok=True)
    assert logged == {"unjudged": 1.0}
    messages = [[{"role": "assistant", "content": text}] for text in ALL[:2]]
    assert called(messages, [json.dumps(TESTS)] * 2) == [1, 0]
    assert logged == {"unjudged": 0.0}


def test_one_sample(page):
    assert [asyncio.run(page["score"](text, json.dumps(TESTS))) for text in (RIGHT, WRONG, NO_CODE)] == [1, 0, 0]
    with pytest.raises(RuntimeError, match=r"unjudged: after 1 of 1 tries: .*connection refused"):
        asyncio.run(page["score"](LOST, TESTS))


# -- verl ------------------------------------------------------------------------------------------------


def _called_by_verl(compute_score: Any, solution: str) -> dict[str, Any]:
    """Call it as the reward managers do."""
    extra_info = {"num_turns": None, "rollout_reward_scores": {}}
    truth = json.dumps(TESTS)
    given = {"data_source": "codecontests", "solution_str": solution, "ground_truth": truth, "extra_info": extra_info}
    if inspect.iscoroutinefunction(compute_score):
        return asyncio.run(compute_score(**given, reward_router_address=None))
    return compute_score(**given)


@pytest.mark.parametrize("make", [verl_score, async_verl_score])
def test_verl(judge, make, caplog):
    with caplog.at_level(logging.WARNING, "balancer"):
        scores = [_called_by_verl(make(judge, unjudged=0.5), text) for text in ALL]
    assert [each["score"] for each in scores] == [1, 0, 0.5, 0]
    assert [each["unjudged"] for each in scores] == [0, 0, 1, 0]
    assert all(isinstance(value, float) for each in scores for value in each.values())
    (line,) = [each.getMessage() for each in caplog.records if "judged" in each.getMessage()]
    assert line.startswith("a sample could not be judged and scores 0.5: after 1")
    assert _called_by_verl(make(judge, unjudged=0, partial=True), WRONG)["score"] == 0.5


def test_verl_knows_no_missing_reward(judge):
    for unjudged in (None, float("nan"), float("inf"), True, "skip"):
        with pytest.raises(ValueError, match="this trainer needs all rewards"):
            verl_score(judge, unjudged=unjudged)
    with pytest.raises(TypeError, match="unjudged"):
        verl_score(judge)


@pytest.mark.parametrize("make", [verl_score, async_verl_score])
def test_a_language_that_nobody_knows_is_a_mistake_where_the_reward_is_made(judge, make):
    with pytest.raises(ValueError, match=r"language is 'c\+\+\+', which no endpoint runs; they run: .*python"):
        make(judge, unjudged=0, language="c+++")
    for name, ours in (("Python", "python"), ("c++17", "cpp")):
        with pytest.raises(ValueError, match=re.escape(f"language is {name!r}; it takes {ours!r}")):
            make(judge, unjudged=0, language=name)
    assert make(judge, unjudged=0, language="cpp")  # its endpoints may be added later
