"""Trainers and evaluations over a judge, each called as its package does: one of four sandboxes dies, then all.

python -m tests.benchmarks.trainer_faces NAME    scores samples by the code of docs/trainers.md; prints lines of JSON
"""

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from balancer import Endpoint, Pool
from balancer.judge import Judge
from tests.contracts.documents import ROOT, blocks

__all__ = ["FACES", "PACKAGES", "PAGE", "code_of", "space_of"]

PAGE = ROOT / "docs" / "trainers.md"
_SAMPLES, _AT_ONCE = 24, 4
_TESTS = {"inputs": ["1\n", "21\n"], "outputs": ["2\n", "42\n"]}
_TEXTS = (
    ("```python\nprint(2 * int(input()))\n```", 1.0),
    ("```python\nprint(2)\n```", 0.0),
    ("I would double it.", 0.0),
)
Found = float | str  # a score, or what the package makes of a sample without one


def code_of(heading: str, number: int = 0) -> str:
    """Return the Python below a heading of the page; `number` counts its blocks."""
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    begin = lines.index(f"## {heading}")
    end = next((at for at in range(begin + 1, len(lines)) if lines[at].startswith("## ")), len(lines))
    found = [each.code for each in blocks(PAGE) if each.language == "python" and begin < each.line <= end]
    return found[number]


def space_of(heading: str, judge: Judge, number: int = 0, **more: Any) -> dict[str, Any]:
    """Return the names that the code below a heading makes, in a module of its own."""
    space: dict[str, Any] = {"__name__": "page", "judge": judge, **more}
    exec(compile(code_of(heading, number), f"{PAGE.name}, {heading}", "exec", dont_inherit=True), space)
    return space


# -- each package, as it calls the code -------------------------------------------------------------


def _inspect_scorer(judge: Judge, texts: Sequence[str]) -> list[Found]:
    """Evaluate all texts as the answers of a model, by `inspect_ai.eval`."""
    from inspect_ai import Task, eval
    from inspect_ai.dataset import Sample
    from inspect_ai.model import get_model

    task = Task(
        dataset=[Sample(id=number, input=text, metadata={"tests": _TESTS}) for number, text in enumerate(texts)],
        scorer=space_of("Inspect AI", judge)["code_tests"](),
    )
    model = get_model(
        "mockllm/model",
        custom_outputs=lambda messages, *more: _said(messages[-1].text),
    )
    (log,) = eval(task, model=model, max_samples=_AT_ONCE, display="none", log_dir=os.environ["TMPDIR"])
    if log.status != "success":
        raise RuntimeError(f"inspect: {log.error}")
    assert log.samples is not None
    assert log.results is not None
    scores = [(each.scores or {})["code_tests"] for each in sorted(log.samples, key=lambda each: int(each.id))]
    unscored = log.results.scores[0].unscored_samples or 0
    assert unscored == sum(each.value != each.value for each in scores)
    return [f"unscored: {each.reason}" if each.value != each.value else float(each.value) for each in scores]


def _inspect_tool(judge: Judge, texts: Sequence[str]) -> list[Found]:
    """Have a model call the tool, which runs a program that prints its score; by `inspect_ai.eval`."""
    from inspect_ai import Task, eval
    from inspect_ai.dataset import Sample
    from inspect_ai.model import get_model
    from inspect_ai.solver import generate, use_tools

    def answer(messages: Any, *more: Any) -> Any:
        if messages[-1].role == "tool":
            return _said(messages[-1].text)
        return _said("", {"code": f"print({float(messages[-1].text)})"})

    task = Task(
        dataset=[Sample(id=number, input=str(_expected(text))) for number, text in enumerate(texts)],
        solver=[use_tools(space_of("Inspect AI", judge)["run_python"]()), generate()],
    )
    model = get_model("mockllm/model", custom_outputs=answer)
    (log,) = eval(
        task, model=model, max_samples=_AT_ONCE, display="none", log_dir=os.environ["TMPDIR"], fail_on_error=False
    )
    assert log.samples is not None
    samples = sorted(log.samples, key=lambda each: int(each.id))
    return [f"error: {_kind(each.error.message)}" if each.error else float(each.output.completion) for each in samples]


def _said(text: str, call: dict[str, Any] | None = None) -> Any:
    """Return the answer of a model; its usage is given, or Inspect fetches a tokenizer to count it."""
    from inspect_ai.model import ModelOutput, ModelUsage

    made = ModelOutput.from_content("m", text) if call is None else ModelOutput.for_tool_call("m", "run_python", call)
    made.usage = ModelUsage(input_tokens=1, output_tokens=1, total_tokens=2)
    return made


def _kind(message: str) -> str:
    return message.partition("(")[0].partition(":")[0]


def _verifiers(judge: Judge, texts: Sequence[str]) -> list[Found]:
    """Score the traces of a task, as a rollout does."""
    import verifiers.v1 as vf

    space = space_of("verifiers", judge)
    sys.modules["page"] = type(sys)("page")  # where pydantic looks for the names of its annotations
    vars(sys.modules["page"]).update(space)

    async def score(text: str) -> Found:
        task = space["CodeTask"](space["CodeData"](prompt="Double it.", tests=_TESTS))
        trace = vf.Trace.model_construct(
            nodes=[vf.MessageNode(message=vf.AssistantMessage(content=text), sampled=True)],
            rewards={}, metrics={}, root_reply=None,
        )  # fmt: skip
        try:
            await task.score(trace)
        except vf.TaskError as error:
            assert trace.rewards == {"passed": None}
            return f"TaskError: {_kind(str(error).rpartition(': ')[0] and str(error).split(': ')[1])}, reward None"
        return float(trace.reward)

    return _in_tasks(score, texts)


def _nemo_gym(judge: Judge, texts: Sequence[str]) -> list[Found]:
    """Ask `POST /verify` of the server's own application."""
    from unittest.mock import MagicMock

    from fastapi.testclient import TestClient
    from nemo_gym.base_resources_server import BaseResourcesServerConfig
    from nemo_gym.server_utils import ServerClient

    space = space_of("NeMo Gym", judge)
    config = BaseResourcesServerConfig(host="127.0.0.1", port=8080, entrypoint="", name="code")
    server = space["CodeServer"](config=config, server_client=MagicMock(spec=ServerClient))

    def ask(client: Any, text: str) -> Found:
        message = {
            "id": "m", "type": "message", "role": "assistant", "status": "completed",
            "content": [{"type": "output_text", "text": text, "annotations": []}],
        }  # fmt: skip
        response = {
            "id": "r", "created_at": 0.0, "model": "m", "object": "response", "output": [message],
            "parallel_tool_calls": False, "tool_choice": "auto", "tools": [],
        }  # fmt: skip
        body = {
            "responses_create_params": {"input": [{"role": "user", "content": "Double it."}]},
            "response": response,
            "verifier_metadata": {"unit_tests": _TESTS},
        }
        answer = client.post("/verify", json=body)
        return float(answer.json()["reward"]) if answer.status_code == 200 else f"HTTP {answer.status_code}"

    with TestClient(server.setup_webserver(), raise_server_exceptions=False) as client:
        return _in_threads(lambda text: ask(client, text), texts)


def _skyrl(judge: Judge, texts: Sequence[str]) -> list[Found]:
    """Make the environment by its name, and take its step in a thread, as the generator does."""
    import skyrl_gym
    from skyrl_gym.envs.registration import register, registry

    registry.pop("code", None)
    register(id="code", entry_point=space_of("SkyRL", judge)["CodeEnv"])

    def step(text: str) -> Found:
        env = skyrl_gym.make("code", env_config={}, extras={"reward_spec": {"ground_truth": json.dumps(_TESTS)}})
        env.init([{"role": "user", "content": "Double it."}])
        try:
            output = env.step(text)
        except Exception as error:
            return f"error: {type(error).__name__}"
        assert output["done"]
        return float(output["reward"])

    return _in_threads(step, texts)


def _in_threads(act: Callable[[str], Found], texts: Sequence[str]) -> list[Found]:
    with ThreadPoolExecutor(_AT_ONCE) as threads:
        return list(threads.map(act, texts))


def _in_tasks(act: Callable[[str], Any], texts: Sequence[str]) -> list[Found]:
    async def one(text: str, room: asyncio.Semaphore) -> Found:
        async with room:
            return await act(text)  # type: ignore[no-any-return]

    async def all_of_them() -> list[Found]:
        room = asyncio.Semaphore(_AT_ONCE)
        return await asyncio.gather(*(one(text, room) for text in texts))

    return asyncio.run(all_of_them())


@dataclass(frozen=True)
class Package:
    """A package: what pip installs, and its faces, each of which scores texts."""

    install: str
    faces: Mapping[str, Callable[[Judge, Sequence[str]], list[Found]]]


PACKAGES = {
    "Inspect AI": Package("inspect_ai", {"scorer, by eval": _inspect_scorer, "tool, by eval": _inspect_tool}),
    "verifiers": Package("verifiers", {"Task.score of a trace": _verifiers}),
    "NeMo Gym": Package("nemo-gym", {"POST /verify": _nemo_gym}),
    "SkyRL": Package("skyrl-gym", {"make and step": _skyrl}),
}
FACES = {(name, face) for name, package in PACKAGES.items() for face in package.faces}


# -- four sandboxes, and what becomes of them ---------------------------------------------------------


@contextmanager
def _sandbox() -> Iterator[tuple[str, subprocess.Popen[str]]]:
    command = [sys.executable, "-m", "tests.fusion_like"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().strip(), process
        finally:
            process.kill()


def _kill_at_work(pool: Pool, process: subprocess.Popen[str], gone: threading.Event) -> None:
    """Kill the first sandbox as soon as it has answered once and works again."""
    while not gone.is_set():
        first = pool.stats().endpoints[0]
        if first.successes and first.in_flight:
            os.kill(process.pid, signal.SIGKILL)
            return
        time.sleep(0.001)


def _expected(text: str) -> float:
    return next(score for each, score in _TEXTS if text.startswith(each))


def _scored(face: Callable[[Judge, Sequence[str]], list[Found]]) -> dict[str, Any]:
    """Score all samples while a sandbox is killed, then one more without any."""
    texts = [f"{_TEXTS[number % 3][0]}\n\nSample {number}." for number in range(_SAMPLES)]
    over = threading.Event()
    with ExitStack() as stack:
        sandboxes = [stack.enter_context(_sandbox()) for _ in range(4)]
        pool = Pool([Endpoint(url, capacity=1) for url, _ in sandboxes])
        judge = stack.enter_context(Judge(pool, outage_s=2.0))
        killer = threading.Thread(target=_kill_at_work, args=(pool, sandboxes[0][1], over))
        killer.start()
        try:
            found = face(judge, texts)
        finally:
            over.set()
            killer.join()
        killed = sandboxes[0][1].poll() is not None
        for _, process in sandboxes:
            process.kill()
            process.wait()
        (unjudged,) = face(judge, texts[:1])
        left = sum(each.in_flight for each in pool.stats().endpoints)
    lost = [each for each in found if isinstance(each, str)]
    wrong = sum(each != _expected(text) for each, text in zip(found, texts, strict=True) if not isinstance(each, str))
    return {
        "made": len(texts), "wrong": wrong, "lost": len(lost), "left": left, "killed": killed, "unjudged": unjudged,
        "error": lost[0] if lost else "",
    }  # fmt: skip


def main() -> None:
    """Run the faces of one package."""
    for face, act in PACKAGES[sys.argv[1]].faces.items():
        try:
            said = _scored(act)
        except Exception as error:
            said = {"broken": f"{type(error).__name__}: {error}"[:300]}
        print(json.dumps({"face": face, **said}), flush=True)


if __name__ == "__main__":
    os.environ.setdefault("TMPDIR", str(Path("/tmp")))
    main()
