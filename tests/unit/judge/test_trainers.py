"""The signatures that trainers call, called as their sources do.

The calls are written down from verl (`workers/reward_manager`, `experimental/reward_loop`), TRL
(`GRPOTrainer._calculate_rewards`) and open-r1 (`rewards.get_reward_funcs`): these packages bring a deep-learning
library, which is not installed here.
"""

import asyncio
import inspect
import json
import logging
from collections.abc import Iterator
from functools import partial, update_wrapper
from typing import Any

import pytest

from balancer.judge import Judge, Limits
from balancer.judge.trainers import (
    Unscored,
    async_trl_reward,
    async_verl_score,
    open_r1_binary_code_reward,
    open_r1_code_reward,
    trl_reward,
    verl_batch_score,
    verl_sandbox_fusion,
    verl_score,
)
from balancer.judge.trainers.samples import sample_score
from balancer.program import Execution, Program
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
def judge() -> Iterator[Judge]:
    with judge_over({"a": FakeExecutor(_answer)}, attempts=1, outage_s=0) as made:
        yield made


# -- TRL -------------------------------------------------------------------------------------------------


def _called_by_trl(reward: Any, completions: list[Any], **columns: list[Any]) -> tuple[list[float], dict[str, float]]:
    """Call it as `GRPOTrainer._calculate_rewards` does, and return what that makes of it."""
    logged: dict[str, float] = {}
    given = dict(
        prompts=["p"] * len(completions), completions=completions, completion_ids=[[1, 2]] * len(completions),
        trainer_state=object(), log_extra=lambda column, values: None, log_metric=logged.__setitem__, **columns,
    )  # fmt: skip
    output = asyncio.run(reward(**given)) if inspect.iscoroutinefunction(reward) else reward(**given)
    return [each if each is not None else float("nan") for each in output], logged


@pytest.mark.parametrize("make", [trl_reward, async_trl_reward])
def test_trl(judge: Judge, make: Any) -> None:
    reward = make(judge)
    assert reward.__name__ == "code_reward"
    rewards, logged = _called_by_trl(reward, ALL, tests=[TESTS] * 4)
    assert rewards == pytest.approx([1, 0, float("nan"), 0], nan_ok=True)
    assert logged == {"unjudged": 1.0}
    assert (reward.counts.asked, reward.counts.unjudged) == (4, 1)
    messages = [[{"role": "assistant", "content": text}] for text in ALL]
    assert _called_by_trl(make(judge, partial=True, unjudged=-1), messages, tests=[TESTS] * 4)[0] == [1, 0.5, -1, 0]
    blocks = [[{"role": "assistant", "content": [{"type": "text", "text": RIGHT}]}]]
    assert _called_by_trl(reward, blocks, tests=[json.dumps(TESTS)])[0] == [1]
    tools = [{"role": "assistant", "content": RIGHT}, {"role": "tool", "content": WRONG}]
    assert _called_by_trl(reward, [tools, tools[1:]], tests=[TESTS] * 2)[0] == [1, 0]
    with pytest.raises(ValueError, match=r"no column 'tests' with the tests; it has \['answers'"):
        _called_by_trl(reward, ALL, answers=[TESTS] * 4)
    with pytest.raises(Unscored, match="could not be judged"):
        _called_by_trl(make(judge, unjudged="raise"), [LOST], tests=[TESTS])


def test_how_many_are_unjudged_is_logged(judge: Judge, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "balancer"):
        trl_reward(judge)(completions=ALL, tests=[TESTS] * 4)
    (line,) = [record.getMessage() for record in caplog.records if "judged" in record.getMessage()]
    assert line.startswith("1 of 4 samples could not be judged and have no reward; the last one: after 1")


def test_the_trainer_may_name_the_function(judge: Judge) -> None:
    reward = trl_reward(judge)
    tests = [{"input": "[1]", "output": "1"}]
    assert reward(completions=[WRONG], tests=[tests], fn_name=["f"]) == [0.0]


# -- open-r1 ---------------------------------------------------------------------------------------------


def test_open_r1(judge: Judge) -> None:
    cases = [{"input": "1", "output": "1", "type": "stdin_stdout", "fn_name": None}, {"input": "2", "output": "2"}]
    columns = {"verification_info": [{"language": "python", "test_cases": cases}] * 4, "prompts": ["p"] * 4}
    messages = [[{"role": "assistant", "content": text}] for text in ALL]
    for make, wanted in ((open_r1_code_reward, [1, 0.5, None, 0]), (open_r1_binary_code_reward, [1, 0, None, 0])):
        code_reward = make(judge)
        registered = update_wrapper(
            partial(code_reward, num_parallel=2, provider_type="e2b", enforce_same_language=False), code_reward
        )
        assert registered(completions=messages, **columns) == wanted
    other = [{"language": "python", "test_cases": cases}, {"language": "cpp", "test_cases": cases}]
    with pytest.raises(ValueError, match="one language"):
        open_r1_code_reward(judge)(messages[:2], enforce_same_language=True, verification_info=other)
    with pytest.raises(ValueError, match=r"no column 'verification_info' with the tests; it has \['prompts'\]"):
        open_r1_code_reward(judge)(messages[:2], prompts=["p"] * 2)


def test_open_r1_reads_a_function_that_stands_beside_the_tests(judge: Judge) -> None:
    beside = {"language": "python", "fn_name": "f", "test_cases": [{"input": "[1]", "output": "[1]"}]}
    unnamed = {"language": "python", "type": "function_call", "test_cases": [{"input": "1", "output": "1"}]}
    assert open_r1_code_reward(judge)([WRONG], verification_info=[beside]) == [0]
    with pytest.raises(ValueError, match="no function is named"):
        open_r1_code_reward(judge)([RIGHT], verification_info=[unnamed])


# -- verl ------------------------------------------------------------------------------------------------


def _called_by_verl(compute_score: Any, solution: str) -> dict[str, Any]:
    """Call it as the reward managers do."""
    extra_info = {"num_turns": None, "rollout_reward_scores": {}}
    truth = json.dumps(TESTS)
    given = {"data_source": "codecontests", "solution_str": solution, "ground_truth": truth, "extra_info": extra_info}
    if inspect.iscoroutinefunction(compute_score):
        return asyncio.run(compute_score(**given, reward_router_address=None))  # type: ignore[no-any-return]
    return compute_score(**given)  # type: ignore[no-any-return]


@pytest.mark.parametrize("make", [verl_score, async_verl_score])
def test_verl(judge: Judge, make: Any) -> None:
    scores = [_called_by_verl(make(judge, unjudged=0.5), text) for text in ALL]
    assert [each["score"] for each in scores] == [1, 0, 0.5, 0]
    assert [each["unjudged"] for each in scores] == [0, 0, 1, 0]
    assert all(isinstance(value, float) for each in scores for value in each.values())
    assert _called_by_verl(make(judge, unjudged=0, partial=True), WRONG)["score"] == 0.5
    with pytest.raises(Unscored):
        _called_by_verl(make(judge, unjudged="raise"), LOST)


def test_verl_knows_no_missing_reward(judge: Judge) -> None:
    for unjudged in (None, float("nan"), float("inf"), True, "skip"):
        with pytest.raises(ValueError, match="this trainer needs all rewards"):
            verl_score(judge, unjudged=unjudged)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="unjudged"):
        verl_score(judge)  # type: ignore[call-arg]


def test_verl_in_batches(judge: Judge) -> None:
    compute_score = verl_batch_score(judge, unjudged=-1)
    scores = compute_score(
        data_sources=["taco"] * 4, solution_strs=ALL, ground_truths=[TESTS] * 4, extra_infos=[{}] * 4, some_kwarg=1
    )
    assert [each["score"] for each in scores] == [1, 0, -1, 0]
    assert [each["unjudged"] for each in scores] == [0, 0, 1, 0]
    assert repr(compute_score.counts) == "<Counts: 1 of 4 unjudged>"  # type: ignore[attr-defined]


def test_verl_sandbox_fusion() -> None:
    seen: list[Limits] = []

    class Watching(FakeExecutor):
        def run(self, program: Program, stdin: bytes, limits: Limits, files: Any) -> Execution:
            seen.append(limits)
            return super().run(program, stdin, limits, files)

    with judge_over({"a": Watching(_answer)}, attempts=1, outage_s=0) as judge:
        compute_score = verl_sandbox_fusion(judge, unjudged=0.0)
        many = {"inputs": ["1"] * 9 + ["2"] * 3, "outputs": ["1"] * 9 + ["2"] * 3}
        score, told = compute_score("http://ignored/run_code", None, 1024, WRONG, json.dumps(many), continuous=True)
        assert score == 0.9
        assert [each["status"] for each in told] == ["success"] * 9 + ["wrong_answer"]
        assert (seen[0].cpu_s, seen[0].memory_bytes) == (10, 1024 * 2**20)
        assert compute_score(None, None, None, WRONG, many, timeout=3)[0] == 0.75
        assert seen[-1].cpu_s == 3
        score, told = compute_score(None, None, None, LOST, TESTS)
        assert (score, told[0]["status"]) == (0.0, "sandbox_error")
        assert compute_score.counts.unjudged == 1  # type: ignore[attr-defined]
        assert compute_score(None, None, None, NO_CODE, TESTS) == (0.0, [{"error": "the completion holds no program"}])


@pytest.mark.parametrize("make", [trl_reward, async_trl_reward, sample_score])
def test_a_language_that_nobody_knows_is_a_mistake_where_the_reward_is_made(judge: Judge, make: Any) -> None:
    with pytest.raises(ValueError, match=r"language is 'c\+\+\+', which no endpoint runs; they run: .*python"):
        make(judge, language="c+++")
    assert make(judge, language="cpp")  # its endpoints may be added later
