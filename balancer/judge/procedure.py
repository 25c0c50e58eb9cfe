"""Judging procedure: runs the cases of a program, one after the other.

Decides the order, when to stop, and which line of standard error explains a failure. It yields the runs and does not
wait for them, so threads and tasks can carry them out.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from math import inf
from typing import Final, TypeVar

from balancer.judge.judged import CaseVerdict, Job, Judged
from balancer.judging.cases import case_of
from balancer.judging.judgements import OutputCheck, judgement_of, limits_of
from balancer.judging.pending import PendingRuns, ProgramResult, ProgramRun, RunStage, Stopped
from balancer.judging.reruns import Reruns
from balancer.judging.verdict import Judgement
from balancer.problem import Checker, Verdict
from balancer.program import Execution, Limits, Program, Status

__all__ = ["MOST", "JudgingRules", "checker_of", "encodable", "judge_job", "last_words", "limits_for", "until"]

MOST = 200  # characters of the line that explains a failure
_LOOKED_AT = 8192  # characters; twice as many are read, so that no secret is cut at the edge
_FRAMES: Final = ("at ", "note:", "... ")  # lines after the error itself: frames of Java, advice of Rust

Given = TypeVar("Given")
Made = TypeVar("Made")


def checker_of(given: Checker | Program | None) -> Checker:
    """Return `given` as a checker; a program is an output validator. Raises TypeError."""
    if given is None:
        return Checker()
    if isinstance(given, Program):
        return Checker(given)
    if not isinstance(given, Checker):
        raise TypeError(f"checker is {given!r}; it takes a Checker, a Program that is an output validator, or None")
    return given


def limits_for(given: Limits | float) -> Limits:
    """Return `given` as limits; a number is the CPU seconds of a run. Raises ValueError."""
    if isinstance(given, Limits):
        for each in fields(given):
            found = getattr(given, each.name)
            if isinstance(found, bool) or not isinstance(found, int | float) or not 0 < found < inf:
                raise ValueError(f"limits has {each.name} = {found!r}; it takes a number, more than 0")
        return given
    if isinstance(given, bool) or not isinstance(given, int | float) or not 0 < given <= 3600:
        raise ValueError(f"limits is {given!r}; it takes Limits(...), or CPU seconds, more than 0 and up to 3600")
    return limits_of(float(given))


@dataclass(frozen=True, slots=True)
class JudgingRules:
    """Rules for judging a program.

    Attributes:
        checker: compares outputs.
        limits: of each run.
        stop_at_first: whether to stop at the first case that is not accepted.
    """

    checker: Checker
    limits: Limits
    stop_at_first: bool

    def of(self, job: Job) -> "JudgingRules":
        """Return the rules for `job`: its own values where it has some, else these. Raises TypeError, ValueError."""
        return JudgingRules(
            self.checker if job.checker is None else checker_of(job.checker),
            self.limits if job.limits is None else limits_for(job.limits),
            self.stop_at_first if job.stop_at_first is None else job.stop_at_first,
        )


def judge_job(
    reruns: Reruns, job: Job, rules: JudgingRules, redact: Callable[[str], str] = str, number: int = 0
) -> PendingRuns[Judged]:
    """Judge the program of `job` by `rules`. `redact` removes secrets from notes; `number` is that of the job.

    Raises:
        ValueError, TypeError: a case cannot be run, e.g. a call of a program in C++. The message names the case:
            "cases[2]: ...".
    """
    total = len(job.cases)
    cases = [_named(at, case_of, given) for at, given in enumerate(job.cases)]
    if job.program is None:
        return Judged((), total, job.tag, number, job.without)
    program, written = encodable(job.program)
    key = hashlib.sha256(written).hexdigest()[:16]
    verdicts: list[CaseVerdict] = []
    for at, case in enumerate(cases):
        run = _named(at, case.run_of, program)
        check = OutputCheck(rules.checker, run.compare)
        wanted = ProgramRun(
            run.program,
            run.stdin,
            rules.limits,
            "judge",
            RunStage.VALIDATE_SOLUTION,
            program.name,
            at,
            run.files,
            expected=run.expected if rules.checker.program is None else None,
            key=key,
        )
        ran = yield from reruns.once(wanted)
        judgement = yield from judgement_of(reruns, wanted, ran, check, run.answer)
        if judgement.verdict is Verdict.COMPILE_ERROR:  # it decides all cases, so ask another endpoint too
            again = yield from reruns.confirmed(wanted, ran)
            if again != ran:
                ran = again
                judgement = yield from judgement_of(reruns, wanted, ran, check, run.answer)
        time_s = ran.execution.time_s if ran.execution is not None else 0.0
        verdicts.append(CaseVerdict(judgement.verdict, _note(judgement, ran, redact), time_s, ran.at))
        over = rules.stop_at_first and judgement.verdict is not Verdict.ACCEPTED
        if over or judgement.verdict is Verdict.COMPILE_ERROR:
            break
    return Judged(tuple(verdicts), total, job.tag, number)


def _named(number: int, make: Callable[[Given], Made], given: Given) -> Made:
    """Return `make(given)`; its errors name the case."""
    try:
        return make(given)
    except TypeError as error:
        raise TypeError(f"cases[{number}]: {error}") from None
    except ValueError as error:
        raise ValueError(f"cases[{number}]: {error}") from None


def encodable(program: Program) -> tuple[Program, bytes]:
    """Return the program and its source as bytes. Lone surrogates that cannot be encoded are replaced."""
    try:
        return program, program.source.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        written = program.source.encode("utf-8", "surrogatepass").decode("utf-8", "replace")
        return replace(program, source=written), written.encode()


def _note(judgement: Judgement, ran: ProgramResult, redact: Callable[[str], str]) -> str:
    """Return the reason. For compile and run-time errors it has the last line of the compiler or program."""
    note = redact(judgement.note) if judgement.note else ""
    if judgement.verdict not in (Verdict.RUN_TIME_ERROR, Verdict.COMPILE_ERROR) or ran.execution is None:
        return note
    words = last_words(ran.execution, redact)
    return f"{note}: {words}" if words and words not in note else note


def last_words(execution: Execution, redact: Callable[[str], str] = str) -> str:
    """Return the line of standard error that explains the failure, at most `MOST` characters; "" if there is none.

    For a compiler: the first line with the word "error", else the last line. For a program: the last line, because a
    traceback ends with the error.

    The text is not trusted: it is cut, and characters that do not print are replaced by "?". Secrets are removed before
    the text is cut, because a cut may go through a secret.
    """
    said = execution.stderr
    if execution.status is Status.COMPILE_ERROR:
        lines = _lines(redact(said[: 2 * _LOOKED_AT].decode(errors="replace"))[:_LOOKED_AT])
        found = next((line for line in lines if "error" in line.lower()), lines[-1] if lines else "")
    else:
        lines = _lines(redact(said[-2 * _LOOKED_AT :].decode(errors="replace"))[-_LOOKED_AT:])
        lines = lines[len(said) > _LOOKED_AT and len(lines) > 1 :]  # the first line may be incomplete
        found = next((line for line in reversed(lines) if not line.startswith(_FRAMES)), lines[-1] if lines else "")
    return found if len(found) <= MOST else found[: MOST - 3] + "..."


def _lines(words: str) -> list[str]:
    """Return the lines that are not empty, with single spaces and "?" for each character that does not print."""
    lines = (" ".join(line.split()) for line in words.splitlines())
    return ["".join(sign if sign.isprintable() else "?" for sign in line) for line in lines if line]


def until(stopped: Callable[[], bool], pending_runs: PendingRuns[Made]) -> PendingRuns[Made]:
    """Yield from `pending_runs`. Raises Stopped when `stopped()` becomes true."""
    try:
        pending = next(pending_runs)
        while True:
            if stopped():
                raise Stopped
            pending = pending_runs.send((yield pending))
    except StopIteration as end:
        found: Made = end.value
        return found
