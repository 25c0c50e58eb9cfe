"""The loop, while a model's server dies, another is busy, a sandbox is killed, and the command as well: same end."""

import hashlib
import json
import os
import shutil
import signal
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler
from random import Random
from threading import Lock
from typing import Any

import pytest

from balancer.pipeline.llm.scripted import answer_to
from balancer.pipeline.results.store import Store
from tests.integration.pipeline.place import ROOT, Place, new_place, until
from tests.patience import PATIENCE_S
from tests.servers import running_server
from tests.unit.llm.served import Deed, ModelServer, error, hang, says, serving_model

pytestmark = [
    pytest.mark.xdist_group("disturbed_loop"),  # what it is compared with is found out once
    pytest.mark.more,
]
_PYTHON = 3  # as CodeContests numbers languages
_IDS = ("meeting-room", "longest-run")  # one with a checker of the model, one without
_ROWS_AT_WORK = 2


@dataclass
class Model:
    """What the servers of one model answer, how long that takes, and how often each question was answered."""

    takes_s: float = 0.0
    answered: Counter[str] = field(default_factory=Counter)
    lock: Lock = field(default_factory=Lock)

    def answer(self, handler: BaseHTTPRequestHandler, asked: dict[str, Any]) -> None:
        """Answer as the scripted server does."""
        question = json.dumps(asked["messages"])
        with self.lock:
            self.answered[hashlib.sha256(question.encode()).hexdigest()] += 1
        time.sleep(self.takes_s)
        says(json.dumps(answer_to(asked["messages"][1]["content"], ROOT / "examples/rows/model")))(handler, asked)

    def busy_now_and_then(self) -> Iterator[Deed]:
        """Yield what a server does that is busy at two requests of three."""
        while True:
            yield error(429, Retry_After="0.1")
            yield error(503)
            yield self.answer


def _only_python(solutions: dict[str, list[Any]], most: int) -> dict[str, list[Any]]:
    kept = [s for n, s in zip(solutions["language"], solutions["solution"], strict=True) if n == _PYTHON][:most]
    return {"language": [_PYTHON] * len(kept), "solution": kept}


def _write(place: Place, sandboxes: list[str], models: list[str]) -> None:
    lines = (ROOT / "examples/rows/rows.jsonl").read_text().splitlines()
    rows = [row for row in map(json.loads, lines) if row["name"] in _IDS]
    for row in rows:
        row["solutions"] = _only_python(row["solutions"], 3)
        row["incorrect_solutions"] = _only_python(row["incorrect_solutions"], 3)
    (place.folder / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)))
    endpoints = "".join(f'[[endpoints]]\nurl = "{url}"\n' for url in sandboxes)
    servers = "".join(f'[[llm.endpoints]]\nurl = "{url}"\ncapacity = 2\n' for url in models)
    config = f"""{endpoints}
[pipeline]
problems = "rows.jsonl"
results = "results"
generators = ["data", "llm"]
sample_level_workers = {_ROWS_AT_WORK}
output_generation_workers = 3
solution_validation_workers = 3
{servers}
[llm]
model = "m"
"""
    (place.folder / "c.toml").write_text(config)


@pytest.fixture
def place(tmp_path):
    with new_place(tmp_path) as place:
        yield place


@pytest.fixture(scope="module")
def sandboxes():
    """Four sandboxes; the last one may be killed."""
    with ExitStack() as stack:
        yield [stack.enter_context(running_server(workers=1)) for _ in range(4)]


@dataclass(frozen=True, slots=True)
class End:
    """How a run ends that is left alone: what is known, which answers there are, and how many leases it took."""

    known: dict[str, list[tuple[Any, ...]]]
    answers: list[tuple[Any, ...]]
    leases: int


def _end(place: Place) -> End:
    told = [json.loads(payload) for (payload,) in place.rows("SELECT payload FROM events WHERE kind = 'answer'")]
    answers = [(key, problem, number, text) for key, problem, number, *_, text, _, _, _ in told]
    with Store(place.folder / "results") as store:
        logs = [store.of(problem.id) for problem in store.problems.met()]
    rounds = [(log.problem, number, log.notes(number)) for log in logs for number in range(log.rounds)]
    aids = [(log.problem, role, program) for log in logs for role, program in sorted(log.brought.items())]
    return End({**place.end(), "rounds": rounds, "aids": aids}, answers, place.leases())


@pytest.fixture(scope="module")
def undisturbed(sandboxes, tmp_path_factory):
    """Run it once, and let it be."""
    model = Model()
    with new_place(tmp_path_factory.mktemp("loop")) as place, serving_model([], model.answer) as server:
        _write(place, [each.url for each in sandboxes], [server.url])
        place.run()
        end = _end(place)
    assert set(model.answered.values()) == {1}
    assert len(model.answered) == len(end.answers) >= 4
    assert {row[1] for row in end.known["aids"]} == {"generator", "validator", "checker"}
    assert {row[1] for row in end.known["rounds"]} >= {0, 1}, "there is more than one round"
    assert {row[-1] for row in end.known["verdicts"]} >= {"accepted", "wrong_answer"}
    summary = place.summary()
    assert (summary["unjudged"], summary["complete"], summary["sessions"]) == (0, True, 1)
    return end


def test_the_command_is_killed_at_five_moments(place, sandboxes, undisturbed, in_full):
    """What was answered is not asked for again, but for what was under way at a kill: the first one, on purpose."""
    for seed in range(10 if in_full else 1):
        shutil.rmtree(place.folder / "results", ignore_errors=True)
        model = Model(takes_s=0.3)
        moments = sorted(Random(20260808 + seed).sample(range(1, undisturbed.leases - 15), 4))
        with serving_model([], model.answer) as server:
            _write(place, [each.url for each in sandboxes], [server.url])
            place.kill_when(lambda: bool(server.asked))
            for moment in moments:
                place.kill_when(partial(place.has_leases, moment))
            place.run()
        end = _end(place)
        assert (end.known, end.answers) == (undisturbed.known, undisturbed.answers)
        assert len(model.answered) == len(end.answers), "no other question was asked"
        assert place.summary()["sessions"] <= 6
        again = model.answered.total() - len(end.answers)
        assert 1 <= again <= 5 * _ROWS_AT_WORK
        print(f"seed {seed}: {len(end.answers)} answers, {again} asked for again after 5 kills")


def test_servers_of_the_model_and_a_sandbox_fail(place, sandboxes, undisturbed):
    """One server of the model is busy again and again, the other one dies; one sandbox of four is killed."""
    model = Model()
    with serving_model(model.busy_now_and_then()) as busy, ExitStack() as doomed:
        dying: ModelServer = doomed.enter_context(serving_model([model.answer], hang(0.0)))
        _write(place, [each.url for each in sandboxes], [busy.url, dying.url])
        with place.running() as process:
            until(lambda: len(dying.asked) >= 1, process)
            doomed.close()
            until(lambda: place.leases() >= undisturbed.leases // 3, process)
            os.kill(sandboxes[-1].pid, signal.SIGKILL)
            _, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0, err
    end = _end(place)
    assert (end.known, end.answers) == (undisturbed.known, undisturbed.answers)
    assert model.answered.total() == len(end.answers), "every answer was asked for once"
    assert len(busy.asked) > 3
    assert place.summary()["unjudged"] == 0
