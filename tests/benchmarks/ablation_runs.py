"""Cheap verdicts for the ablation: programs of this repository's own packages, one fork for each run, no sandbox.

Decides which inputs count: those that every validator accepts and on which the first two accepted submissions agree
within a cheap limit of time. Verdicts are kept on disk, so that an input is judged once.
"""

import gc
import hashlib
import os
import resource
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import CodeType
from typing import NoReturn, TypeVar

from balancer.judging.verdict import ACCEPT, checker_files, checker_program, judge_end, judge_output
from balancer.problem import Problem, Submission
from balancer.program import Execution, Program, Status

Item = TypeVar("Item")
LIMIT_S = 0.4  # accepted submissions of the packages take less than a quarter of a second, slow ones at least two
LARGE = "valid and large"  # stands for what a large input kills, where only small ones are judged
_SMALL = 3000  # bytes
_VALIDATOR_S = 5.0
_MOST_OUTPUT = 16 * 2**20
_CXX = ("g++", "-O2", "-std=gnu++20")


class Judge:
    """Runs programs, compiled once, in `folder`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._work = folder / f"work-{os.getpid()}"
        for made in (folder / "bin", self._work / "feedback"):
            made.mkdir(parents=True, exist_ok=True)
        self._codes: dict[str, CodeType] = {}
        gc.freeze()  # what is forked is not to be copied

    def run(self, program: Program, stdin: bytes, cpu_s: float, files: Mapping[str, bytes]) -> Execution:
        """Run a program once."""
        for name, data in (*files.items(), (".fed", stdin)):
            (self._work / name).write_bytes(data)
        act = self._act(program)
        child = os.fork()
        if child == 0:
            _become(self._work, cpu_s, act)
        _, status, used = os.wait4(child, 0)
        time_s = used.ru_utime + used.ru_stime
        output = (self._work / ".printed").read_bytes()
        message = (self._work / ".said").read_bytes()[-2000:]
        ended = os.waitstatus_to_exitcode(status)
        if -ended in (signal.SIGPROF, signal.SIGALRM):
            return Execution(Status.TIME_LIMIT, output, message, time_s=time_s)
        return Execution(Status.FINISHED, output, message, exit_code=ended, time_s=time_s)

    def _act(self, program: Program) -> Callable[[], NoReturn]:
        if program.language == "cpp":
            path, argv = self._compiled(program), ["program", *program.args]
            return lambda: os.execv(path, argv)
        if program.source not in self._codes:
            self._codes[program.source] = compile(program.source, "main.py", "exec", dont_inherit=True)
        code = self._codes[program.source]
        return lambda: _interpret(code, program.args)

    def _compiled(self, program: Program) -> Path:
        path = self.folder / "bin" / hashlib.sha256(program.source.encode()).hexdigest()[:24]
        if not path.exists():
            source, made = self._work / "main.cpp", self._work / "made"
            source.write_text(program.source)
            subprocess.run([*_CXX, "-o", made, source], check=True, capture_output=True, cwd=self._work)
            made.rename(path)
        return path


def _become(folder: Path, cpu_s: float, act: Callable[[], NoReturn]) -> NoReturn:
    """Turn this copy into the program that was asked for."""
    try:
        os.chdir(folder)
        writing = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
        for number, (name, flags) in enumerate(((".fed", os.O_RDONLY), (".printed", writing), (".said", writing))):
            os.dup2(os.open(name, flags, 0o600), number)
        resource.setrlimit(resource.RLIMIT_FSIZE, (_MOST_OUTPUT, _MOST_OUTPUT))
        resource.setrlimit(resource.RLIMIT_AS, (2 * 2**30, 2 * 2**30))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_DFL)
        signal.setitimer(signal.ITIMER_PROF, cpu_s)
        signal.setitimer(signal.ITIMER_REAL, 20 * cpu_s + 5)
        act()
    finally:
        os._exit(121)


def _interpret(code: CodeType, args: Sequence[str]) -> NoReturn:
    sys.setprofile(None)
    sys.stdin, sys.stdout, sys.stderr = open(0), open(1, "w"), open(2, "w")  # noqa: SIM115
    sys.argv = ["main.py", *args]
    sys.setrecursionlimit(1000)
    ended = 0
    try:
        exec(code, {"__name__": "__main__"})
    except SystemExit as error:
        ended = 0 if error.code is None else error.code if isinstance(error.code, int) else 1
    except BaseException as error:
        sys.stderr.write(f"{type(error).__name__}: {error}")
        ended = 1
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(ended & 255)


@dataclass(frozen=True, slots=True)
class Judged:
    """What came of an input: why it was refused ("": it counts), and the wrong submissions that it kills."""

    why: str
    kills: frozenset[str]


class PackageJudge:
    """Judges inputs of one problem; also a comparer for the generators that search."""

    limit_s = LIMIT_S

    def __init__(self, judge: Judge, problem: Problem, cache: sqlite3.Connection) -> None:
        self.problem = problem
        self.runs = 0
        self._judge = judge
        self._cache = cache
        texts = [problem.id, *(each.program.source for each in problem.submissions)]
        self._key = hashlib.sha256("\0".join(texts).encode()).hexdigest()[:16]

    @property
    def accepted(self) -> Sequence[Submission]:
        """The right solutions that are asked."""
        return self.problem.accepted[:2]

    def judged(self, data: bytes) -> Judged:
        """Return what comes of an input, from the cache if it is known."""
        key = f"{self._key} {hashlib.sha256(data).hexdigest()}"
        row = self._cache.execute("SELECT why, kills FROM judged WHERE key = ?", (key,)).fetchone()
        if row is not None:
            return Judged(row[0], frozenset(row[1].split("\n")) - {""})
        found = self._find(data)
        with self._cache:
            self._cache.execute(
                "INSERT OR REPLACE INTO judged VALUES (?, ?, ?)", (key, found.why, "\n".join(sorted(found.kills)))
            )
        return found

    def _find(self, data: bytes) -> Judged:
        why = self.refusal(data)
        if why:
            return Judged(why, frozenset())
        right = [self.measured(each, data) for each in self.accepted]
        answer = right[0].stdout
        if any(judge_end(each) for each in right) or not all(self._is_right(data, each, answer) for each in right):
            return Judged("contested", frozenset())
        ended = {each.name: self.measured(each, data) for each in self.problem.wrong}
        return Judged("", frozenset(name for name, each in ended.items() if not self._is_right(data, each, answer)))

    def refusal(self, data: bytes) -> str:
        """Return the words of the validator that refuses an input; "" if none does."""
        for validator in self.problem.input_validators:
            self.runs += 1
            ended = self._judge.run(validator, data, _VALIDATOR_S, {})
            if ended.exit_code != ACCEPT:
                return (ended.stderr + ended.stdout).decode(errors="replace").strip()[-500:] or "refused"
        return ""

    def _is_right(self, data: bytes, ended: Execution, answer: bytes) -> bool:
        if judge_end(ended) is not None:
            return False
        program = checker_program(self.problem.checker)
        if program is None:
            return not judge_output(self.problem.checker, ended.stdout, answer).verdict.kills
        files = {name: text for name, text in checker_files(data, answer).items() if "/" not in name}
        return self._judge.run(program, ended.stdout, _VALIDATOR_S, files).exit_code == ACCEPT

    # -- as a comparer ---------------------------------------------------------------------------------

    def answers(self, submission: Submission, inputs: Sequence[bytes]) -> list[Execution | None]:
        """Run a submission on each input."""
        return [self.measured(submission, data) for data in inputs]

    def measured(self, submission: Submission, data: bytes) -> Execution:
        """Run a submission on one input."""
        self.runs += 1
        return self._judge.run(submission.program, data, LIMIT_S, {})

    def valid(self, inputs: Sequence[bytes]) -> list[bool | None]:
        """Say of each input whether the validators accept it."""
        return [not self.refusal(data) for data in inputs]

    def right(self, outputs: Sequence[tuple[bytes, Execution, bytes]]) -> list[bool | None]:
        """Say of each output whether it would be accepted."""
        return [self._is_right(data, ended, answer) for data, ended, answer in outputs]

    def each(self, act: Callable[[Item], None], items: Iterable[Item]) -> None:
        """Do it for every item."""
        for item in items:
            act(item)


class SmallJudge(PackageJudge):
    """Judges small inputs; of large ones it says only whether they are valid, which takes no time to speak of."""

    def judged(self, data: bytes) -> Judged:
        """Return what comes of an input; a large one kills nothing but `LARGE`."""
        if len(data) <= _SMALL:
            return super().judged(data)
        why = self.refusal(data)
        return Judged(why, frozenset() if why else frozenset({LARGE}))


def open_cache(path: Path) -> sqlite3.Connection:
    """Open the verdicts that are known."""
    cache = sqlite3.connect(path, timeout=60)
    cache.execute("CREATE TABLE IF NOT EXISTS judged (key TEXT PRIMARY KEY, why TEXT, kills TEXT)")
    return cache
