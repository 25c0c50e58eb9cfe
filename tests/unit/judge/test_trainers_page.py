"""The code of docs/trainers.md does what the page says, with types written down from the packages' sources.

Each is called as its package does. A sample that cannot be judged never becomes a reward of 0.
"""

import asyncio
import json
from collections.abc import Iterator
from contextlib import nullcontext
from math import isnan
from types import SimpleNamespace
from typing import Any

import pytest

from balancer.errors import NotExecuted
from balancer.judge import Judge
from balancer.judge.trainers import Unscored, async_sample_score, sample_score
from balancer.program import Execution, Program
from tests.benchmarks.harness import END
from tests.benchmarks.show_trainers import BEGIN, read, written
from tests.benchmarks.trainer_faces import FACES, PACKAGES, PAGE, space_of
from tests.unit.judge.judges import judge_over
from tests.unit.judge.trainer_types import TaskError, trainer_modules
from tests.unit.pipeline.fakes import DOWN, FakeExecutor
from tests.unit.pipeline.programs import finished

RIGHT, WRONG, LOST, NO_CODE = "```python\nright\n```", "```python\nwrong\n```", "```python\nlost\n```", "I do not know."
TESTS = {"inputs": ["1", "2"], "outputs": ["1", "2"]}
LABEL = json.dumps(TESTS)
SCORED = [(RIGHT, 1.0), (WRONG, 0.0), (NO_CODE, 0.0)]


def _answer(program: Program, stdin: bytes, files: object) -> Execution:
    source = program.source.strip()
    if source == "lost":
        raise DOWN
    return finished(stdin if source == "right" else b"no")


@pytest.fixture
def judge() -> Iterator[Judge]:
    with trainer_modules(), judge_over({"a": FakeExecutor(_answer)}, attempts=1, outage_s=0) as made:
        yield made


def test_one_sample(judge: Judge) -> None:
    for made in (sample_score, async_sample_score):

        def score(*given: Any, made: Any = made, **options: Any) -> Any:
            found = made(judge, **options)(*given)
            return asyncio.run(found) if made is async_sample_score else found

        assert [score(text, TESTS) for text, _ in SCORED] == [wanted for _, wanted in SCORED]
        assert score([{"role": "assistant", "content": RIGHT}], LABEL) == 1
        assert score(RIGHT, [{"input": "[1]", "output": "1"}], "f") == 0
        assert score(LOST, TESTS, unjudged=None) is None
        assert score(LOST, TESTS, unjudged=-1) == -1
        with pytest.raises(Unscored, match="could not be judged"):
            score(LOST, TESTS)
    counted = sample_score(judge, unjudged=None)
    assert [counted(RIGHT, TESTS), counted(LOST, TESTS)] == [1, None]
    assert repr(counted.counts) == "<Counts: 1 of 2 unjudged>"  # type: ignore[attr-defined]


def test_the_log_says_that_a_sample_ends_with_an_error(judge: Judge, caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(Unscored):
        sample_score(judge)(LOST, TESTS)
    assert "1 of 1 samples could not be judged and end with an error" in caplog.text


def test_inspect(judge: Judge) -> None:
    space = space_of("Inspect AI", judge)

    def score(text: str) -> Any:
        state = SimpleNamespace(output=SimpleNamespace(completion=text), metadata={"tests": TESTS})
        return asyncio.run(space["code_tests"]()(state, target=None))

    assert [score(text).value for text, _ in SCORED] == [wanted for _, wanted in SCORED]
    assert score(NO_CODE).explanation == "the completion holds no program"
    unscored = score(LOST)
    assert isnan(unscored.value)
    assert unscored.reason == "unjudged"
    assert "connection refused" in unscored.explanation
    execute = space["run_python"]()
    assert asyncio.run(execute("wrong")) == "no"
    with pytest.raises(NotExecuted):
        asyncio.run(execute("lost"))


def test_verifiers(judge: Judge) -> None:
    space = space_of("verifiers", judge)

    def score(text: str) -> dict[str, Any]:
        trace = SimpleNamespace(last_reply=text, rewards={})
        task = space["CodeTask"](space["CodeData"]("Copy it.", TESTS))
        with pytest.raises(TaskError, match="Unscored") if text == LOST else nullcontext():
            asyncio.run(task.score(trace))
        return trace.rewards  # type: ignore[no-any-return]

    assert [score(text) for text, _ in SCORED] == [{"passed": wanted} for _, wanted in SCORED]
    assert score(LOST) == {"passed": None}


def test_nemo_gym(judge: Judge) -> None:
    space = space_of("NeMo Gym", judge)

    def verify(text: str) -> float:
        response = SimpleNamespace(output_text=text)
        body = space["CodeRequest"](response=response, verifier_metadata={"unit_tests": TESTS})
        answer = asyncio.run(space["CodeServer"]().verify(body))
        assert answer.response is response
        return answer.reward  # type: ignore[no-any-return]

    assert [verify(text) for text, _ in SCORED] == [wanted for _, wanted in SCORED]
    with pytest.raises(Unscored):  # which its web server answers with 500
        verify(LOST)


def test_skyrl(judge: Judge) -> None:
    made = space_of("SkyRL", judge)["CodeEnv"]

    def step(text: str) -> Any:
        return made(env_config={}, extras={"reward_spec": {"ground_truth": LABEL}, "max_turns": 1}).step(text)

    assert [step(text)["reward"] for text, _ in SCORED] == [wanted for _, wanted in SCORED]
    assert step(RIGHT)["done"] is True
    with pytest.raises(Unscored):
        step(LOST)


def test_openrlhf(judge: Judge) -> None:
    reward_func = space_of("OpenRLHF", judge)["reward_func"]

    def call(text: str) -> dict[str, Any]:  # SingleTurnAgentExecutor._fetch_rewards_via_func
        return reward_func([f"<s>Copy it.{text}</s>"], ["Copy it."], [LABEL])  # type: ignore[no-any-return]

    for text, wanted in SCORED:
        assert call(text) == {"rewards": wanted, "scores": wanted, "extra_logs": {"unjudged": 0.0}}
    lost = call(LOST)
    assert isnan(lost["rewards"])
    scores = [1.0, lost["scores"]]  # of a group, in SamplesGenerator._generate_vllm
    assert not 0.0 < sum(scores) / len(scores) < 1.0
    assert lost["extra_logs"] == {"unjudged": 1.0}


def test_slime(judge: Judge) -> None:
    space = space_of("slime", judge)

    async def group(*texts: str) -> list[Any]:  # generate_and_rm_group
        async def sample(text: str) -> Any:
            made = SimpleNamespace(response=text, label=LABEL, reward=None, metadata={})
            made.reward = await space["reward"](None, made)
            return made

        return await asyncio.gather(*(sample(text) for text in texts))

    judged = asyncio.run(group(RIGHT, WRONG, NO_CODE))
    assert [each.reward for each in judged] == [1, 0, 0]
    assert space["only_judged"](None, judged) is True
    assert space["only_judged"](None, asyncio.run(group(RIGHT, LOST))) is False


def test_areal(judge: Judge) -> None:
    made = space_of("AReaL", judge)["JudgedWorkflow"](gconfig=None, tokenizer=lambda tokens: tokens)

    async def engine(messages: str) -> str:
        return messages

    def episode(text: str) -> Any:
        return asyncio.run(made.arun_episode(engine, {"messages": text, "tests": TESTS, "level": 1}))

    assert [episode(text) for text, _ in SCORED] == [{"rewards": wanted} for _, wanted in SCORED]
    assert episode(LOST) is None


def test_rllm(judge: Judge) -> None:
    evaluate = space_of("rLLM", judge)["evaluate"]

    def call(text: str) -> Any:
        return evaluate(SimpleNamespace(metadata={"tests": TESTS}), SimpleNamespace(artifacts={"answer": text}))

    assert [(call(text).reward, call(text).is_correct) for text, _ in SCORED] == [(1, True), (0, False), (0, False)]
    with pytest.raises(Unscored):
        call(LOST)


def test_open_instruct(judge: Judge) -> None:
    verifier = space_of("open-instruct", judge)["JudgedCode"](None)
    assert (verifier.name, verifier.weight) == ("judged_code", 1.0)

    def call(text: str) -> float:  # apply_verifiable_reward
        given = {"tokenized_prediction": [1], "prediction": text, "label": LABEL, "query": "?", "rollout_state": None}
        return asyncio.run(verifier.async_call(**given)).score  # type: ignore[no-any-return]

    assert [call(text) for text, _ in SCORED] == [wanted for _, wanted in SCORED]
    assert verifier([1], RIGHT, LABEL).score == 1
    with pytest.raises(Unscored):
        call(LOST)


def test_the_page_has_what_was_run() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert text.count(BEGIN) == 1
    assert text.partition(BEGIN)[2].partition(END)[0].strip() == written(read())


def test_nothing_was_lost_where_it_was_run() -> None:
    packages = read()["packages"]
    assert list(packages) == list(PACKAGES)
    rows = [(name, *row) for name, table in packages.items() for row in table]
    assert {(name, face) for name, _, face, *_ in rows} == FACES
    for _, _, _, wrong, lost, made, left, unjudged, broken in rows:
        assert (wrong, lost, made, left, broken) == (0, 0, 24, 0, "")
        assert isinstance(unjudged, str)
