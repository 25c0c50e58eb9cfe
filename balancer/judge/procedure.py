"""Judging procedure: the cases of a program, one after the other.

Decides the order, and when it is over. What an end means is decided in `balancer.pipeline`; this yields the errands
that it takes, and waits for none of them: threads and tasks carry them out alike.
"""

import hashlib
from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

from balancer.judge.cases import case_of
from balancer.judge.judged import NO_CODE, CaseVerdict, Job, Judged
from balancer.judge.words import last_words
from balancer.judging.judgements import judgement_of, limits_of
from balancer.judging.pending import PendingRuns, ProgramResult, ProgramRun, Stopped
from balancer.judging.reruns import Reruns
from balancer.judging.spans import RunStage
from balancer.judging.verdict import Judgement
from balancer.problem import Checker, Verdict
from balancer.program import Limits, Program

__all__ = ["checker_of", "judging", "limits_for", "until"]

Given = TypeVar("Given")
Made = TypeVar("Made")


def checker_of(given: Checker | Program | None) -> Checker:
    """Return `given` as a checker: a program is an output validator. Raises TypeError."""
    if given is None:
        return Checker()
    if isinstance(given, Program):
        return Checker(given)
    if not isinstance(given, Checker):
        raise TypeError(f"checker is {given!r}; it takes a Checker, a Program that is an output validator, or None")
    return given


def limits_for(given: Limits | float) -> Limits:
    """Return `given` as limits: a number is the CPU seconds of a run. Raises ValueError."""
    if isinstance(given, Limits):
        return given
    if isinstance(given, bool) or not isinstance(given, int | float) or not 0 < given <= 3600:
        raise ValueError(f"limits is {given!r}; it takes Limits(...), or CPU seconds, more than 0 and up to 3600")
    return limits_of(float(given))


def judging(
    reruns: Reruns,
    job: Job,
    checker: Checker,
    limits: Limits,
    stop_at_first: bool,
    redact: Callable[[str], str] = str,
) -> PendingRuns[Judged]:
    """Judge the program of `job`; what the job does not say is given. `redact` takes secrets out of notes.

    Raises:
        ValueError, TypeError: a case cannot be run, e.g. a call of a program in C++. It is the caller's mistake, and
            the error says which case, as in "cases[2]: ...".
    """
    total = len(job.cases)
    cases = [_named(number, case_of, given) for number, given in enumerate(job.cases)]
    if job.program is None:
        return Judged((), total, job.tag, without=NO_CODE)
    program, written = _written(job.program)
    key = hashlib.sha256(written).hexdigest()[:16]
    verdicts: list[CaseVerdict] = []
    for number, case in enumerate(cases):
        laid = _named(number, case.laid, program)
        wanted = ProgramRun(
            laid.program,
            laid.stdin,
            limits,
            "judge",
            RunStage.VALIDATE_SOLUTION,
            program.name,
            number,
            laid.files,
            expected=laid.expected if checker.program is None else None,
            key=key,
        )
        ran = yield from reruns.once(wanted)
        judgement = yield from judgement_of(reruns, wanted, ran, checker, laid.answer, compare=laid.compare)
        if judgement.verdict is Verdict.COMPILE_ERROR:  # it decides all cases: another endpoint may know better
            again = yield from reruns.confirmed(wanted, ran)
            if again != ran:
                ran = again
                judgement = yield from judgement_of(reruns, wanted, ran, checker, laid.answer, compare=laid.compare)
        time_s = ran.execution.time_s if ran.execution is not None else 0.0
        verdicts.append(CaseVerdict(judgement.verdict, _note(judgement, ran, redact), time_s, ran.at))
        over = stop_at_first and judgement.verdict is not Verdict.ACCEPTED
        if over or judgement.verdict is Verdict.COMPILE_ERROR:
            break
    return Judged(tuple(verdicts), total, job.tag)


def _named(number: int, make: Callable[[Given], Made], given: Given) -> Made:
    """Return what `make` makes of `given`; its errors say of which case."""
    try:
        return make(given)
    except TypeError as error:
        raise TypeError(f"cases[{number}]: {error}") from None
    except ValueError as error:
        raise ValueError(f"cases[{number}]: {error}") from None


def _written(program: Program) -> tuple[Program, bytes]:
    """Return the program, and how it is written; half a character is replaced, as nothing could send or run it."""
    try:
        return program, program.source.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        written = program.source.encode("utf-8", "surrogatepass").decode("utf-8", "replace")
        return replace(program, source=written), written.encode()


def _note(judgement: Judgement, ran: ProgramResult, redact: Callable[[str], str]) -> str:
    """Return why, with the last words of the program or its compiler where these are the reason."""
    note = redact(judgement.note) if judgement.note else ""
    if judgement.verdict not in (Verdict.RUN_TIME_ERROR, Verdict.COMPILE_ERROR) or ran.execution is None:
        return note
    words = last_words(ran.execution, redact)
    return f"{note}: {words}" if words and words not in note else note


def until(stopped: Callable[[], bool], errands: PendingRuns[Judged], number: int) -> PendingRuns[Judged]:
    """Yield what `errands` yields; raise Stopped instead once nobody wants to know any more."""
    try:
        errand = next(errands)
        while True:
            if stopped():
                raise Stopped
            errand = errands.send((yield errand))
    except StopIteration as end:
        judged: Judged = end.value
        return replace(judged, number=number)
