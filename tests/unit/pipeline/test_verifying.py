"""Runs that are made again elsewhere: what is asked of whom, what counts in the end, and who goes."""

import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from unittest.mock import Mock

import pytest

from balancer.endpoint import Endpoint
from balancer.errors import BalancerError
from balancer.judging.pending import RunnerHooks, RunnerOptions, RunStage, Span
from balancer.judging.runner import ProgramRun, Runner
from balancer.opening.pool import Pool
from balancer.program import Execution, Limits, Program, Status
from balancer.settings.pipeline import VerifySettings
from tests.integration.pipeline.liars import Honest
from tests.patience import PATIENCE_S
from tests.unit.pipeline.fakes import DOWN, FakeExecutor, no_leases_out
from tests.unit.pipeline.programs import finished

WANTED = ProgramRun(
    Program("python", "double", "double.py"), b"21", Limits(), "doubling", RunStage.AGREE, "double.py", 7, witness=True
)
RIGHT, LIE = finished(b"42\n"), finished(b"13\n")


class Remembering:
    """Remembers in memory."""

    def __init__(self) -> None:
        self.spoke: list[tuple[str, str]] = []
        self.liars: list[str] = []
        self.counts: list[str] = []

    def believed(self, endpoint: str, problem: str) -> None:
        self.spoke.append((endpoint, problem))

    def trusted(self, endpoint: str) -> None:
        """Forget."""

    def made_again(self, what: str) -> None:
        self.counts.append(what)

    def eject(self, endpoint: str, why: str) -> int:
        self.liars.append(endpoint)
        return len({problem for name, problem in self.spoke if name == endpoint})


class Says(Honest):
    """Says one thing of every program but pings, and is asked for those in its own way."""

    def __init__(self, word: Execution, ping: Execution | None = None) -> None:
        super().__init__()
        self.word, self.ping_word, self.asked = word, ping, 0
        self.gate: threading.Event | None = None

    def run(self, program: Program, stdin: bytes, limits: Limits, files: Mapping[str, bytes]) -> Execution:
        if program.name == "ping":
            return self.ping_word or self._truth(program, stdin, files)
        self.asked += 1
        self.started.set()
        if self.gate is not None:
            assert self.gate.wait(PATIENCE_S)
        return self.word


def _runner(executors: Mapping[str, FakeExecutor], **settings: object) -> tuple[Runner, Pool, Remembering, list[Span]]:
    pool = Pool([Endpoint(name, capacity=2) for name in executors], strategy="fifo", health=None)
    remembering, spans = Remembering(), list[Span]()
    runner = Runner(
        pool,
        executors,
        RunnerOptions(attempts=3, quiet_label="quiet", verify=VerifySettings.model_validate(settings)),
        RunnerHooks(on_span=spans.append, verification=remembering),
    )
    return runner, pool, remembering, spans


def test_the_first_runs_are_made_again_and_nobody_speaks_alone():
    runner, pool, remembering, spans = _runner({"a": Says(RIGHT), "b": Says(RIGHT)}, share=0.0, first=3)
    for _ in range(3):
        assert runner.run(WANTED).verified
    assert remembering.spoke == []
    assert not runner.run(WANTED).verified
    assert len(remembering.spoke) == 1
    assert len(spans) == 7
    assert no_leases_out(pool)


def test_a_lie_is_outvoted_by_a_third_and_does_not_count():
    runner, pool, remembering, _ = _runner({"a": Says(LIE), "b": Says(RIGHT), "c": Says(RIGHT)})
    for _ in range(3):
        assert runner.run(WANTED).execution == RIGHT
    assert remembering.spoke == []
    assert "differed" in remembering.counts
    assert remembering.liars == [], "one program alone ejects nobody"
    assert no_leases_out(pool)


@pytest.mark.parametrize("shared", [False, True])
def test_two_programs_eject_and_the_log_says_so(caplog, monkeypatch, shared):
    """Also in a pool that only its server can change."""
    runner, pool, remembering, _ = _runner({"a": Says(LIE), "b": Says(RIGHT), "c": Says(RIGHT)})
    if shared:
        monkeypatch.setattr(pool, "drain", Mock(side_effect=BalancerError("only the server can change endpoints")))
    for name in ("double.py", "add.py"):
        for _ in range(3):
            program = Program("python", "double", name)
            assert runner.run(ProgramRun(program, b"21", Limits(), "p", RunStage.AGREE, name, 7, witness=True))
    assert remembering.liars == ["a"]
    assert "a gives wrong results and is taken out of service: " in caplog.text
    before = pool.stats().endpoints[0].leases
    for _ in range(5):
        assert runner.run(WANTED).execution == RIGHT
    assert pool.stats().endpoints[0].leases == before, "it gets no lease any more"


CRASHES = (finished(code=1), Execution(Status.TIME_LIMIT), Execution(Status.COMPILE_ERROR))


@pytest.mark.parametrize("others", ["b", "bc"], ids=["the known answer decides between two", "at once"])
def test_who_is_wrong_on_what_is_known_goes(others):
    executors = {"a": Says(LIE, ping=LIE), **{name: Says(RIGHT) for name in others}}
    runner, _, remembering, _ = _runner(executors)
    assert runner.run(WANTED).execution == RIGHT
    assert remembering.liars == ["a"]


@pytest.mark.parametrize("crash", CRASHES, ids=lambda crash: crash.status.value)
def test_a_server_on_which_the_known_program_crashes_is_no_liar(crash):
    runner, _, remembering, _ = _runner({"a": Says(LIE, ping=crash), "b": Says(RIGHT), "c": Says(RIGHT)})
    assert runner.run(WANTED).execution == RIGHT
    assert remembering.liars == []


def test_other_compilers_are_outvoted_and_stay():
    refused = Execution(Status.COMPILE_ERROR, stderr=b"what is this?")
    runner, _, remembering, _ = _runner({"a": Says(refused), "b": Says(RIGHT), "c": Says(RIGHT)})
    for name in ("x", "y", "z"):
        wanted = ProgramRun(
            Program("python", "double", name), b"1", Limits(), "p", RunStage.AGREE, name, 7, witness=True
        )
        assert runner.run(wanted).execution == RIGHT
    assert remembering.liars == []


LATE = Execution(Status.TIME_LIMIT, time_s=1.01 * Limits().cpu_s, cpu_measured=True)


def test_who_tells_a_limit_of_everything_goes_and_what_it_said_does_not_count():
    runner, pool, remembering, _ = _runner({"a": Says(LATE, LATE), "b": Says(RIGHT)}, first=0, share=0.0)
    for _ in range(40):
        runner.run(WANTED)
    assert remembering.liars == ["a"]
    assert ("a", "doubling") in remembering.spoke
    assert runner.run(WANTED).execution == RIGHT
    assert no_leases_out(pool)


def test_a_server_that_runs_slow_programs_only_is_no_liar():
    executors = {"a": Says(LATE), "b": Says(LATE)}
    runner, _, remembering, _ = _runner(executors, first=0, share=0.0)
    for _ in range(40):
        assert runner.run(WANTED).execution == LATE
    assert remembering.liars == []
    assert 2 <= remembering.counts.count("again") <= 6, "one known answer for every eighth in a row"


def test_if_nobody_else_answers_the_first_word_counts_and_is_remembered():
    runner, pool, remembering, _ = _runner({"a": Says(RIGHT), "b": FakeExecutor(always=DOWN)})
    assert runner.run(WANTED).execution == RIGHT
    assert remembering.spoke == [("a", "doubling")]
    assert no_leases_out(pool)


def test_with_one_endpoint_nothing_is_made_again():
    runner, _, remembering, spans = _runner({"a": Says(RIGHT)}, share=1.0)
    ran = runner.run(WANTED)
    assert runner.confirm(WANTED, ran) is ran
    assert len(spans) == 1
    assert remembering.counts == []


def test_a_surprise_is_made_again_once():
    runner, _, _, spans = _runner({"a": Says(RIGHT), "b": Says(RIGHT)}, share=1e-9, first=0)
    ran = runner.run(WANTED)
    assert len(spans) == 1
    ran = runner.confirm(WANTED, ran)
    assert ran.verified
    assert runner.confirm(WANTED, ran) is ran
    assert len(spans) == 2


def test_what_a_liar_says_after_it_was_found_out_does_not_count():
    liar = Says(LIE, ping=LIE)
    runner, pool, remembering, _ = _runner({"a": liar, "b": Says(RIGHT), "c": Says(RIGHT)}, share=1e-9, first=0)
    liar.gate = threading.Event()
    with ThreadPoolExecutor(1) as threads:
        late = threads.submit(runner.run, WANTED)
        assert liar.started.wait(PATIENCE_S)
        gate, liar.gate = liar.gate, None
        lied = runner.run(WANTED)
        while lied.at != "a":
            lied = runner.run(WANTED)
        assert runner.confirm(WANTED, lied).execution == RIGHT
        assert remembering.liars == ["a"]
        gate.set()
        assert late.result(PATIENCE_S).execution == RIGHT
    assert no_leases_out(pool)
