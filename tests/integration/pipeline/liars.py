"""Servers that lie, in memory: the right format, and another program's output. And a run over some of them."""

import secrets
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from random import Random
from typing import Any
from unittest.mock import patch

from rich.console import Console

from balancer.hookspecs import ExecutorPlugin
from balancer.pipeline.results.run_result import RunResult
from balancer.pipeline.round import proposal_batches
from balancer.pipeline.running.run import run_pipeline
from balancer.plugins.registry import Registered, Registry
from balancer.program import Execution, ExecutorOptions, Limits, Program
from balancer.settings.config import load_config
from tests.integration.pipeline.place import known_in
from tests.patience import PATIENCE_S
from tests.unit.pipeline.fakes import FakeExecutor
from tests.unit.pipeline.packages import GONE, write
from tests.unit.pipeline.programs import PROGRAMS, finished, pong

__all__ = [
    "ACCEPTED",
    "KINDS",
    "WRONG",
    "Flapping",
    "Found",
    "Honest",
    "Late",
    "Liar",
    "judged_by",
    "make_packages",
]

ACCEPTED = ("double", "add", "right after all")
WRONG = ("square", "crash at 0", "killed at 8", "double, but 13", "wordy at 9")
_LATE_FROM = 40


class Honest(FakeExecutor):
    """Does what programs do, and what pings ask for."""

    def __init__(self) -> None:
        super().__init__()
        self._mutex = threading.Lock()

    def run(self, program: Program, stdin: bytes, limits: Limits, files: Mapping[str, bytes]) -> Execution:
        """Tell the truth."""
        return self.told(self._truth(program, stdin, files))

    def told(self, truth: Execution) -> Execution:
        """Return what is said instead."""
        return truth

    @staticmethod
    def _truth(program: Program, stdin: bytes, files: Mapping[str, bytes]) -> Execution:
        if program.name == "ping":
            return pong(stdin)
        if program.source.startswith("dice"):
            return finished(b"%d\n" % secrets.randbelow(int(program.source.split()[1])))
        return PROGRAMS[program.source](stdin, files)


class Liar(Honest):
    """Says of each program what it has said of another one."""

    def __init__(self, rng: Random) -> None:
        super().__init__()
        self._rng = rng
        self._past = [finished(b"7\n"), finished(b"12\n"), finished(code=42), finished(code=43)]

    def told(self, truth: Execution) -> Execution:
        """Return what ended otherwise than this."""
        with self._mutex:
            if len(self._past) < 500:
                self._past.append(truth)
            if not self._lies():
                return truth
            others = [each for each in self._past if (each.stdout, each.exit_code) != (truth.stdout, truth.exit_code)]
            return self._rng.choice(others)

    def _lies(self) -> bool:
        return True


class Flapping(Liar):
    """Lies one time in ten."""

    def _lies(self) -> bool:
        return self._rng.random() < 0.1


class Late(Honest):
    """After a while it gives each request the answer to the one before."""

    def __init__(self, rng: Random) -> None:
        super().__init__()
        self._answered = 0
        self._before = finished(b"7\n")

    def told(self, truth: Execution) -> Execution:
        """Return the answer to the request before."""
        with self._mutex:
            before, self._before = self._before, truth
            self._answered += 1
            return truth if self._answered < _LATE_FROM else before


KINDS: Mapping[str, Callable[[Random], Honest]] = {"liar": Liar, "flapping": Flapping, "late": Late}


def make_packages(
    folder: Path, problems: int, *, accepted: Sequence[str] = ACCEPTED, wrong: Sequence[str] = WRONG
) -> Path:
    """Write small packages, whose programs are those of `PROGRAMS`, or dice."""
    for number in range(problems):
        programs = {f"submissions/accepted/{at}.py": name for at, name in enumerate(accepted)}
        programs |= {f"submissions/wrong_answer/{at}.py": name for at, name in enumerate(wrong)}
        data = {f"data/secret/{n}.in": f"{n}\n" for n in (0, 8, number + 20)}
        answers = {f"data/secret/{n}.ans": f"{2 * n}\n" for n in (0, 8, number + 20)}
        gone = dict.fromkeys(("data/sample/1.in", "data/sample/1.ans", "submissions/accepted/sum.py"), GONE)
        write(
            folder / f"problem-{number}",
            {
                **gone,
                **programs,
                **data,
                **answers,
                "problem.yaml": f"name: Doubling {number}\n",
                "input_validators/check.py": "check input",
            },
        )
    return folder


@dataclass(frozen=True, slots=True)
class Found:
    """What a run came to: what is stored in the end, the result, and what it said."""

    stored: dict[str, list[tuple[Any, ...]]]
    result: RunResult
    said: str


def judged_by(
    executors: list[Honest], problems: Path, results: Path, *, verify: str = "", max_inputs: int = 12, seed: int = 1
) -> Found:
    """Judge the packages in `problems` over these servers, with default settings but for `verify`."""
    made = dict(zip((f"fake://{number}/" for number in range(len(executors))), executors, strict=True))
    registry = Registry(group=None)  # of this run alone

    def make(url: str, options: ExecutorOptions) -> Honest:
        return made[url]

    registry.executors["fake"] = Registered(ExecutorPlugin(("fake",), make, "in memory"), "tests")
    endpoints = "".join(f'[[endpoints]]\nurl = "{url}"\ncapacity = 2\n' for url in made)
    config = results.with_suffix(".toml")
    config.write_text(
        f"""{endpoints}
[pipeline]
problems = "{problems}"
results = "{results}"
generators = ["data", "mutate"]
max_inputs = {max_inputs}
seed = {seed}
[verify]
{verify}
"""
    )
    said = StringIO()
    # Runs are compared: what a generator brings must not depend on how busy the machine is.
    with patch.object(proposal_batches, "_MOST_S", PATIENCE_S):
        result = run_pipeline(load_config(config), registry, Console(file=said, width=200))
    return Found(known_in(results), result, said.getvalue())
