"""What a run says of its endpoint beyond its own end: that it had too much to do; and compilers that were given up."""

from dataclasses import replace

import pytest

from balancer.endpoint import Endpoint
from balancer.judging.pending import RunnerOptions, RunStage
from balancer.judging.runner import ProgramResult, ProgramRun, Runner
from balancer.judging.suspicion import Recheck, Suspicion
from balancer.opening.pool import Pool
from balancer.program import Execution, Executor, Limits, Program, Status
from tests.unit.pipeline.fakes import FakeExecutor, hasty
from tests.unit.pipeline.programs import finished

DOUBLING = ProgramRun(
    Program("python", "double"), b"21", Limits(cpu_s=1.0), "doubling", RunStage.AGREE, "accepted/double.py", 7
)
GOOD = finished(b"42\n")
LATE = Execution(Status.TIME_LIMIT, b"4", time_s=1.24)  # of a limit of 1 s, and CPU time is not measured
HONEST = Execution(Status.TIME_LIMIT, b"4", time_s=1.02)
MEASURED = replace(HONEST, cpu_measured=True)
GIVEN_UP = Execution(Status.COMPILE_ERROR, message="the compiler was stopped after 100 s", doubtful=True)
TOO_LONG = Execution(Status.COMPILE_ERROR, message="the compiler took too long: 30.1 s of CPU time")
FAT = Execution(Status.MEMORY_LIMIT, exit_code=-9)
OWN = replace(LATE, cpu_measured=True)
KILLED = Execution(Status.FINISHED, exit_code=-9, message="killed", doubtful=True)


# One row: how it ends at "a" and, if that is suspect, at "b" (None: with the right answer), what counts, what either
# end says of its endpoint, and what was noted of the second look.
PAIRS: dict[str, tuple[Execution, Execution | None, Execution, list[str], tuple[Suspicion, Recheck] | None]] = {
    "late": (LATE, None, GOOD, ["overload", "success"], (Suspicion.LATE, Recheck.CLEARED)),
    "honest": (HONEST, None, HONEST, ["success"], None),
    "late, then honest": (LATE, HONEST, HONEST, ["overload", "success"], (Suspicion.LATE, Recheck.CONFIRMED)),
    "late, then of CPU time": (LATE, MEASURED, MEASURED, ["overload", "success"], (Suspicion.LATE, Recheck.CONFIRMED)),
    "given up": (GIVEN_UP, None, GOOD, ["overload", "success"], (Suspicion.DOUBTFUL, Recheck.CLEARED)),
    "given up twice": (GIVEN_UP, GIVEN_UP, GIVEN_UP, ["overload"] * 2, (Suspicion.DOUBTFUL, Recheck.CONFIRMED)),
    "then too long": (GIVEN_UP, TOO_LONG, TOO_LONG, ["overload", "success"], (Suspicion.DOUBTFUL, Recheck.CLEARED)),
    "too long": (TOO_LONG, None, TOO_LONG, ["success"], None),
    "fat": (FAT, None, FAT, ["success"], None),
    "late by its own CPU time": (OWN, None, OWN, ["success"], None),
    # A program that kills the script that runs it, everywhere, takes no endpoint out of service.
    "killed twice": (KILLED, KILLED, KILLED, ["ignored", "ignored"], (Suspicion.DOUBTFUL, Recheck.CONFIRMED)),
}


@pytest.mark.parametrize(("first", "second", "counts", "outcomes", "look"), PAIRS.values(), ids=PAIRS)
def test_what_one_end_or_two_say_of_the_program_and_of_the_endpoints(first, second, counts, outcomes, look):
    looks: list[tuple[Suspicion, Recheck]] = []
    runner, pool, spans = hasty({"a": FakeExecutor(always=first), "b": FakeExecutor(always=second)})
    runner.attempts.hooks.on_recheck = lambda wanted, why, said: looks.append((why, said))
    assert runner.run(DOUBLING).execution == counts
    assert [(span.endpoint, span.outcome) for span in spans] == list(zip("ab", outcomes, strict=False))
    assert looks == ([look] if look else [])
    assert [each.overloads for each in pool.stats().endpoints if each.leases] == [o == "overload" for o in outcomes]
    assert all(each.failures == 0 for each in pool.stats().endpoints)


def test_a_late_time_limit_never_counts_however_often_it_is_seen():
    looks: list[tuple[Suspicion, Recheck]] = []
    runner, _, spans = hasty({"a": FakeExecutor(always=LATE), "b": FakeExecutor(always=LATE)})
    runner.attempts.hooks.on_recheck = lambda wanted, why, said: looks.append((why, said))
    ran = runner.run(DOUBLING)
    assert ran == ProgramResult(None, f"the server was too busy at each try; the last server was {spans[-1].endpoint}")
    assert looks == [(Suspicion.LATE, Recheck.UNJUDGED)]
    assert len(spans) == 5  # the last three with an endpoint to themselves


def test_the_last_look_has_an_endpoint_to_itself():
    pool = Pool([Endpoint("a", capacity=4)], health=None)
    seen: list[int] = []

    class Watching(FakeExecutor):
        def run(self, *asked: object) -> Execution:
            seen.append(pool.stats().endpoints[0].in_flight)
            return super().run(*asked)

    empty = replace(HONEST, stdout=b"")
    for second in (LATE, empty):  # at 16 programs a core, no server is late, and none is fast enough
        seen.clear()
        runner = _runner(pool, {"a": Watching(script=[empty, second])})
        assert runner.run(DOUBLING).execution == GOOD
        assert seen == [1, 1, 4]


def test_what_comes_after_a_compiler_that_was_given_up_is_doubted_as_well():
    runner, _, spans = hasty({"a": FakeExecutor(script=[GIVEN_UP]), "b": FakeExecutor(always=LATE)})
    assert runner.run(DOUBLING).execution == GOOD
    assert [span.endpoint for span in spans] == ["a", "b", "a"]


def test_a_compiler_has_the_time_that_the_run_is_told_and_twice_that_when_it_was_given_up():
    seen: list[float] = []

    class Watching(FakeExecutor):
        def run(self, program: Program, stdin: bytes, limits: Limits, files: object) -> Execution:
            seen.append(limits.compile_s)
            return super().run(program, stdin, limits, {})

    pool = Pool([Endpoint("a")], health=None)
    runner = _runner(pool, {"a": Watching(script=[GIVEN_UP])}, compile_s=7.0)
    assert runner.run(DOUBLING).execution == GOOD
    assert seen == [7.0, 14.0]


def test_a_slow_compiler_is_told_of():
    told: list[tuple[str, float, str]] = []
    slow, quick = replace(GOOD, compile_s=8.5), replace(GOOD, compile_s=0.5)
    runner, _, _ = hasty({"a": FakeExecutor(script=[slow, quick])})
    runner.attempts.hooks.on_compile = lambda program, ran, endpoint: told.append(
        (program.source, ran.compile_s, endpoint)
    )
    for _ in range(3):
        runner.run(DOUBLING)
    assert told == [("double", 8.5, "a")]


def _runner(pool: Pool, executors: dict[str, Executor], compile_s: float | None = None) -> Runner:
    return Runner(pool, executors, RunnerOptions(attempts=3, quiet_label="quiet", compile_s=compile_s))
