"""Submission comparer: runs submissions on candidate inputs, to find the few that are worth proposing.

Decides how many inputs go into one run of a program, and what is known of each: valid or not, right or not, or nothing
if the infrastructure failed. It stores no input and no verdict. The steps of a round check its findings like any
proposal.

Batched inputs: a front part before the program's source lets one run take many small inputs. Decides which languages
have such a front. The front reads what `records` writes, and forks for each record. The child becomes the program, with
the record as its standard input. The front writes how the child ended. It runs in the sandbox with the program, which
may disturb it. So its results are hints, never verdicts.
"""

import signal
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from importlib.resources import files
from typing import TypeVar

from balancer.judging.judgements import VALIDATOR_LIMITS
from balancer.judging.runner import ProgramRun
from balancer.judging.verdict import ACCEPT, REJECT, checker_files, checker_program, judge_end, judge_output
from balancer.pipeline.results.run_result import RunStage
from balancer.pipeline.round.checking import exit_code
from balancer.pipeline.round.sample import Sample
from balancer.problem import Submission
from balancer.program import EACH_INPUT, Execution, Limits, Program, Status

__all__ = ["BatchedInput", "SampleComparer", "outcomes", "records", "taking_many"]

_FRONTS = {"python": "front.python.txt", "cpp": "front.c.txt", "c": "front.c.txt"}
MOST_BYTES = 2**16  # of output that are kept for each input
_STOPS = 3  # inputs that may run out of time before the rest is dropped
_TIME_SIGNALS = (signal.SIGPROF, signal.SIGALRM)
Item = TypeVar("Item")

_AT_ONCE, _BYTES_AT_ONCE = 125, 2**19  # inputs and bytes of one run: a batch has two, at the same time
_SHORT_S = 1.0  # CPU seconds for one of many small inputs
_RUN_CPU_S = 60.0  # for all inputs of one run
_RUN, _RUN_S = 0.03, 1.0  # part of a time budget for one run on many inputs, and at least so many CPU seconds
_COMPILED, _COMPILED_S = 0.05, 1.0  # part of a time budget for compiling a front, and at least so many seconds
_REMEMBERED, _SMALL_BYTES = 50_000, 500  # inputs whose validity is remembered, and their most bytes
_MESSAGE = 500  # bytes of a validator's message, the last ones
_NONE: Mapping[str, bytes] = {}


def taking_many(program: Program) -> Program | None:
    """Return the program with a front that takes many inputs; None if its language has no front."""
    front = _FRONTS.get(program.language)
    if front is None:
        return None
    if program.language == "python":
        text = program.source.encode("utf-8", "surrogateescape")
        source = _text(front).replace("SOURCE", repr(text)).replace("EACH_INPUT", repr(EACH_INPUT.encode()))
    else:
        source = f"{_text(front)}\n#line 1\n{program.source}"
    return replace(program, source=source)


@lru_cache
def _text(name: str) -> str:
    return files(__package__).joinpath(name).read_text(encoding="utf-8")


@dataclass(frozen=True, slots=True)
class BatchedInput:
    """One input.

    Attributes:
        stdin: standard input of the program.
        input, answer: the files `input.txt` and `answer.txt` of an output validator; None: no such file.
    """

    stdin: bytes
    input: bytes | None = None
    answer: bytes | None = None


def records(inputs: Sequence[BatchedInput], cpu_s: float, *, all_s: float = _RUN_CPU_S, told: bool = False) -> bytes:
    """Return the standard input of a program that takes all `inputs`, with `cpu_s` CPU seconds for each.

    It takes no further ones after `all_s` CPU seconds. With `told`, its standard error is kept too, as if it were
    output.
    """
    parts = [b"%d %d %d %d %d\n" % (max(int(cpu_s * 1e6), 1), MOST_BYTES, _STOPS, told, int(all_s * 1e6))]
    for fed in inputs:
        parts.append(b"%d %d %d\n" % (len(fed.stdin), _length(fed.input), _length(fed.answer)))
        parts += [fed.stdin, fed.input or b"", fed.answer or b""]
    return b"".join(parts)


def _length(data: bytes | None) -> int:
    return -1 if data is None else len(data)


def outcomes(printed: bytes) -> Iterator[Execution]:
    """Yield the execution of each input in `printed`. Stops at the first invalid record."""
    at = 0
    while (end := printed.find(b"\n", at, at + 80)) >= 0:
        words = printed[at:end].split(b" ")
        if len(words) != 4 or not all(word.isdigit() for word in words):
            return
        status, used_us, cut, length = map(int, words)
        output = printed[end + 1 : end + 1 + length]
        if len(output) < length or length > MOST_BYTES:
            return
        yield _execution(status, used_us / 1e6, output, cut=bool(cut))
        at = end + 1 + length


def _execution(status: int, time_s: float, output: bytes, *, cut: bool) -> Execution:
    """Return the execution for a wait status; see wait(2)."""
    killed_by = status & 127
    if killed_by in _TIME_SIGNALS:
        return Execution(Status.TIME_LIMIT, output, time_s=time_s, cpu_measured=killed_by == signal.SIGPROF)
    ended = Status.OUTPUT_LIMIT if cut else Status.FINISHED
    exit_code = -killed_by if killed_by else (status >> 8) & 255
    return Execution(ended, output, exit_code=exit_code, time_s=time_s, cpu_measured=True)


@dataclass(slots=True)
class _Remembered:
    """What all comparers of a problem know.

    Attributes:
        lock: for the rest.
        alone: programs that cannot take many inputs at once.
        asked: the validators.
        valid: what they said of small inputs.
    """

    lock: threading.Lock = field(default_factory=threading.Lock)
    alone: set[Program] = field(default_factory=set)
    asked: tuple[Program, ...] = ()
    valid: dict[bytes, bool] = field(default_factory=dict)


class SampleComparer:
    """A `balancer.pipeline.proposing.Comparer` for one generator of one problem. Thread-safe.

    Attributes:
        runs: runs of a program on an input so far.
        cpu_s: CPU seconds of all programs so far, as far as they were measured.
    """

    def __init__(self, sample: Sample) -> None:
        self._sample = sample
        self._known = _Remembered()
        self.runs = 0
        self.cpu_s = 0.0

    def for_another(self) -> "SampleComparer":
        """Return a comparer with the same knowledge, and counts of its own."""
        made = SampleComparer(self._sample)
        made._known = self._known
        return made

    @property
    def accepted(self) -> Sequence[Submission]:
        """The accepted submissions that run on made-up inputs, the reference solution first."""
        return self._sample.jury

    @property
    def limit_s(self) -> float:
        """CPU seconds that a submission may use."""
        return self._sample.limits.cpu_s

    def answers(self, submission: Submission, inputs: Sequence[bytes]) -> list[Execution | None]:
        """Run a submission on small inputs, with at most one CPU second for each.

        None in the list: nothing is known.
        """
        limits = self._sample.limits
        return self._each(
            submission.program, [BatchedInput(data) for data in inputs], limits, min(limits.cpu_s, _SHORT_S), {}
        )

    def measured(self, submission: Submission, data: bytes) -> Execution | None:
        """Run a submission on one input, with the problem's limits."""
        return self._one(submission.program, BatchedInput(data), self._sample.limits, _NONE)

    def valid(self, inputs: Sequence[bytes]) -> list[bool | None]:
        """Return for each input whether all validators accept it; None if nothing is known.

        Small inputs are remembered: each search asks for the same ranges.
        """
        programs = tuple(self._sample.validators.programs())
        with self._known.lock:
            if programs != self._known.asked or len(self._known.valid) > _REMEMBERED:
                self._known.asked, self._known.valid = programs, {}
            remembered = self._known.valid
        found: dict[bytes, bool | None] = {data: remembered[data] for data in inputs if data in remembered}
        new = [data for data in dict.fromkeys(inputs) if data not in found]
        for data, message in zip(new, self._validated(new, told=False), strict=True):
            found[data] = None if message is None else not message
            if message is not None and len(data) <= _SMALL_BYTES:
                remembered[data] = not message
        return [found[data] for data in inputs]

    def refusals(self, inputs: Sequence[bytes]) -> list[str | None]:
        """Return for each input what the first validator that refuses it says; "" if all accept it, None: not known."""
        return self._validated(inputs, told=True)

    def right(self, outputs: Sequence[tuple[bytes, Execution, bytes]]) -> list[bool | None]:
        """Return for each (input, execution of a submission, answer) whether it is accepted; None: not known."""
        found: list[bool | None] = [None if judge_end(execution) is None else False for _, execution, _ in outputs]
        open_ = [index for index, says in enumerate(found) if says is None]
        checker = self._sample.checker
        program = checker_program(checker)
        if program is None:
            for index in open_:
                _, execution, answer = outputs[index]
                found[index] = judge_output(checker, execution.stdout, answer).verdict.kills is False
            return found
        fed = [BatchedInput(outputs[index][1].stdout, outputs[index][0], outputs[index][2]) for index in open_]
        ended = self._each(program, fed, VALIDATOR_LIMITS, VALIDATOR_LIMITS.cpu_s, checker_files(b"", b""))
        for index, each in zip(open_, ended, strict=True):
            says = None if each is None else {ACCEPT: True, REJECT: False}.get(exit_code(each) or 0)
            found[index] = says
        return found

    def each(self, act: Callable[[Item], None], items: Iterable[Item]) -> None:
        """Call `act` for every item, some at a time. The first error is raised."""
        self._sample.in_threads(self._sample.settings.solution_validation_workers, act, items)

    # -- inside --------------------------------------------------------------------------------------

    def _validated(self, inputs: Sequence[bytes], *, told: bool) -> list[str | None]:
        found: list[str | None] = [""] * len(inputs)
        for validator in self._sample.validators.programs():
            left = [index for index, says in enumerate(found) if says == ""]
            fed = [BatchedInput(inputs[index]) for index in left]
            ended = self._each(validator, fed, VALIDATOR_LIMITS, VALIDATOR_LIMITS.cpu_s, _NONE, told=told)
            for index, execution in zip(left, ended, strict=True):
                says = None if execution is None else self._sample.validators.says(validator, execution)
                if execution is None or says is None:
                    found[index] = None
                elif not says:
                    words = (execution.stdout + execution.stderr)[-_MESSAGE:].decode(errors="replace").strip()
                    found[index] = words or "refused"
        return found

    def _each(
        self,
        program: Program,
        inputs: Sequence[BatchedInput],
        limits: Limits,
        cpu_s: float,
        files: Mapping[str, bytes],
        *,
        told: bool = False,
    ) -> list[Execution | None]:
        """Run `program` on each of `inputs`, many in one run if possible, with `cpu_s` CPU seconds for each."""
        found: list[Execution | None] = [None] * len(inputs)
        short = Limits(cpu_s, 3 * cpu_s + 2, limits.compile_s, limits.memory_bytes)

        def act(part: range) -> None:
            ended = self._many(program, [inputs[index] for index in part], limits, cpu_s, files, told=told)
            if ended is None:
                ended = [self._one(program, inputs[index], short, files) for index in part]
            for index, execution in zip(part, ended, strict=False):
                found[index] = execution

        self._sample.in_threads(self._sample.settings.solution_validation_workers, act, _parts(inputs))
        return found

    def _many(
        self,
        program: Program,
        inputs: Sequence[BatchedInput],
        limits: Limits,
        short_s: float,
        files: Mapping[str, bytes],
        *,
        told: bool,
    ) -> Sequence[Execution | None] | None:
        """Run `program` once for all `inputs`; None if it cannot take many. If it ends early, the rest is missing."""
        wrapped = taking_many(program) if len(inputs) > 1 and program not in self._known.alone else None
        if wrapped is None:
            return None
        # A front that takes long to compile would take a part of the budget for nothing: each input alone is cheaper.
        compile_s, cpu_s, all_s = limits.compile_s, _RUN_CPU_S, _RUN_CPU_S
        if self._sample.allowed_s is not None:
            compile_s = min(compile_s, max(_COMPILED_S, _COMPILED * self._sample.allowed_s))
            cpu_s = min(cpu_s, max(short_s, self._sample.left_s))
            all_s = min(cpu_s, max(_RUN_S, _RUN * self._sample.allowed_s))
        wide = Limits(cpu_s, 2 * cpu_s, compile_s, limits.memory_bytes)
        ran = self._run(wrapped, records(inputs, short_s, all_s=all_s, told=told), wide, files, len(inputs))
        if ran is None:
            return []
        ended = list(outcomes(ran.stdout))
        if not ended:  # e.g. it does not compile with the front, or closes a file of the front
            with self._known.lock:
                self._known.alone.add(program)
            return None
        return ended[: len(inputs)]

    def _one(self, program: Program, fed: BatchedInput, limits: Limits, files: Mapping[str, bytes]) -> Execution | None:
        beside = files if fed.input is None else {**files, **checker_files(fed.input, fed.answer or b"")}
        return self._run(program, fed.stdin, limits, beside, 1)

    def _run(
        self, program: Program, stdin: bytes, limits: Limits, files: Mapping[str, bytes], inputs: int
    ) -> Execution | None:
        with self._known.lock:
            self.runs += inputs
        if self._sample.late:
            return None
        problem = self._sample.problem.id
        wanted = ProgramRun(program, stdin, limits, problem, RunStage.GENERATE, program.name, 0, files)
        execution = self._sample.runner.run(wanted).execution
        with self._known.lock:
            self.cpu_s += execution.time_s if execution is not None and execution.cpu_measured else 0.0
        return execution


def _parts(inputs: Sequence[BatchedInput]) -> list[range]:
    """Split a list of inputs into those of one run each."""
    parts, start, size = [], 0, 0
    for index, fed in enumerate(inputs):
        length = len(fed.stdin) + len(fed.input or b"") + len(fed.answer or b"")
        if index > start and (index - start >= _AT_ONCE or size + length > _BYTES_AT_ONCE):
            parts.append(range(start, index))
            start, size = index, 0
        size += length
    return [*parts, range(start, len(inputs))] if inputs else []
