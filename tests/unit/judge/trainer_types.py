"""Types of trainers and evaluations that their code on docs/trainers.md uses, written down from their sources.

The packages are not installed here: some need a GPU. `make trainers` runs what can be installed.
"""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any, Generic, TypeVar
from unittest.mock import patch

__all__ = ["TaskError", "trainer_modules"]

D = TypeVar("D")


# -- Inspect AI 0.3.285: inspect_ai.scorer, inspect_ai.tool -----------------------------------------------


@dataclass
class Score:
    value: Any
    reason: str | None = None
    explanation: str | None = None

    @classmethod
    def unscored(cls, *, reason: str | None = None, explanation: str | None = None) -> "Score":
        return cls(float("nan"), reason, explanation)


def _decorator(*args: Any, **options: Any) -> Callable[[Any], Any]:
    return args[0] if args else lambda made: made


# -- verifiers 0.4.0: verifiers.v1 ------------------------------------------------------------------------


class TaskError(Exception):
    """Task-authored code raised."""


@dataclass
class TaskData:
    prompt: str
    tests: Any


class VerifiersTask(Generic[D]):
    """`Task.score`: every reward is None until all functions came to an end; an error is recorded as a TaskError."""

    def __init__(self, data: D) -> None:
        self.data = data

    async def score(self, trace: Any) -> None:
        functions = [getattr(self, name) for name, made in vars(type(self)).items() if hasattr(made, "reward")]
        trace.rewards.update(dict.fromkeys(each.__name__ for each in functions))
        try:
            results = await asyncio.gather(*(each(trace=trace) for each in functions))
        except Exception as error:
            raise TaskError(f"task {type(self).__name__} scoring: {type(error).__name__}: {error}") from error
        for each, result in zip(functions, results, strict=True):
            trace.rewards[each.__name__] = result


def _reward(made: Any) -> Any:
    made.reward = True
    return made


# -- NeMo Gym 0.4.0: nemo_gym.base_resources_server ---------------------------------------------------------


class BaseVerifyRequest:
    def __init__(self, **given: Any) -> None:
        vars(self).update(given)

    def model_dump(self) -> dict[str, Any]:
        return dict(vars(self))


class SimpleResourcesServer:
    pass


# -- skyrl-gym 0.4.0: skyrl_gym.envs.base_text_env ------------------------------------------------------------


class BaseTextEnv:
    def __init__(self) -> None:
        self.turns, self.max_turns = 0, 1


# -- AReaL of 21 May 2026: areal.workflow.rlvr ----------------------------------------------------------------


class RLVRWorkflow:
    """Its episode: the tokens are decoded, and `async_reward_fn` is awaited with the columns of the row."""

    def __init__(self, reward_fn: Any, gconfig: Any, tokenizer: Any) -> None:
        self.tokenizer = tokenizer
        self.async_reward_fn: Any = None  # AsyncRewardWrapper(reward_fn): a process pool, 15 s, then 0

    async def arun_episode(self, engine: Any, data: dict[str, Any]) -> dict[str, Any] | None:
        tokens = await engine(data["messages"])
        text = self.tokenizer(tokens)
        return {"rewards": await self.async_reward_fn("prompt", text, [1], tokens, **data)}


# -- rLLM of 15 August 2026: rllm.eval ------------------------------------------------------------------------


@dataclass
class EvalOutput:
    reward: float
    is_correct: bool
    signals: list[Any] = field(default_factory=list)
    metadata: dict[str, Any] = field(default_factory=dict)


# -- open-instruct of 20 August 2026: open_instruct.ground_truth_utils ------------------------------------------


class VerifierFunction:
    def __init__(self, name: str, weight: float = 1.0, verifier_config: Any = None) -> None:
        self.name, self.weight, self.verifier_config = name, weight, verifier_config


@dataclass
class VerificationResult:
    score: float
    cost: float = 0.0
    reasoning: str | None = None


_MODULES: dict[str, dict[str, Any]] = {
    "inspect_ai.scorer": {"Score": Score, "accuracy": list, "stderr": list, "scorer": _decorator},
    "inspect_ai.tool": {"tool": _decorator},
    "verifiers.v1": {"TaskData": TaskData, "Task": VerifiersTask, "Trace": object, "reward": _reward},
    "nemo_gym.base_resources_server": {
        "BaseVerifyRequest": BaseVerifyRequest,
        "BaseVerifyResponse": BaseVerifyRequest,
        "SimpleResourcesServer": SimpleResourcesServer,
    },
    "skyrl_gym.envs.base_text_env": {"BaseTextEnv": BaseTextEnv, "BaseTextEnvStepOutput": dict},
    "areal.workflow.rlvr": {"RLVRWorkflow": RLVRWorkflow},
    "rllm.eval.reward_fns._helpers": {"extract_answer_text": lambda episode: episode.artifacts["answer"]},
    "rllm.eval.types": {"EvalOutput": EvalOutput},
    "open_instruct.ground_truth_utils": {
        "VerificationResult": VerificationResult,
        "VerifierFunction": VerifierFunction,
    },
}


@contextmanager
def trainer_modules() -> Iterator[None]:
    """Let these types be imported as those of the packages."""
    made: dict[str, ModuleType] = {}
    for name, names in _MODULES.items():
        parts = name.split(".")
        for length in range(1, len(parts) + 1):
            made.setdefault(".".join(parts[:length]), ModuleType(".".join(parts[:length])))
        for child in range(1, len(parts)):
            setattr(made[".".join(parts[:child])], parts[child], made[".".join(parts[: child + 1])])
        vars(made[name]).update(names)
    with patch.dict("sys.modules", made):
        yield
