"""What a run of a submission may use, and that threads pass their failures on."""

import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from balancer.judging.judgements import VALIDATOR_LIMITS
from balancer.pipeline.round.rounds import judge_problem
from balancer.pipeline.round.sample import Sample
from balancer.program import Execution, Limits, Program
from tests.unit.pipeline.bench import Bench, make_problem, quiet_progress
from tests.unit.pipeline.fakes import FakeExecutor, hasty


def sample_with(
    tmp_path: Path, *, time_limit_s: float | None = None, memory_bytes: int | None = None, factor: float = 1.0
) -> Sample:
    problem = replace(make_problem(), time_limit_s=time_limit_s, memory_bytes=memory_bytes)
    bench = Bench(tmp_path, problem)
    settings = bench.settings.model_copy(update={"time_limit_factor": factor, "time_limit_s": 5.0})
    runner, _, _ = hasty({"a": FakeExecutor()})
    with bench.open({"a": FakeExecutor()}) as sample:
        return Sample(problem, (), settings, runner, sample.store, quiet_progress())


@pytest.mark.parametrize(
    ("named_s", "factor", "cpu_s"),
    [(2.0, 1.0, 2.0), (2.0, 2.5, 5.0), (0.5, 0.5, 0.25), (None, 1.0, 5.0), (None, 3, 5.0)],
)
def test_the_package_s_time_limit_is_scaled_and_ours_is_not(
    tmp_path: Path, named_s: float | None, factor: float, cpu_s: float
) -> None:
    limits = sample_with(tmp_path, time_limit_s=named_s, factor=factor).limits
    assert limits.cpu_s == cpu_s
    assert limits.wall_s == 3 * cpu_s + 2


@pytest.mark.parametrize(("named", "memory"), [(None, 2**30), (64 * 2**20, 64 * 2**20)])
def test_the_package_s_memory_limit_holds(tmp_path: Path, named: int | None, memory: int) -> None:
    assert sample_with(tmp_path, memory_bytes=named).limits.memory_bytes == memory


def test_submissions_run_within_the_limits_and_validators_within_their_own(tmp_path: Path) -> None:
    seen: set[tuple[str, Limits]] = set()

    class Spy(FakeExecutor):
        def run(self, program: Program, stdin: bytes, limits: Limits, files: Mapping[str, bytes]) -> Execution:
            seen.add((program.source, limits))
            return super().run(program, stdin, limits, files)

    bench = Bench(tmp_path, make_problem(wrong=["square"]))
    with bench.open({"a": Spy()}) as sample:
        judge_problem(sample)
        assert seen == {
            ("check input", VALIDATOR_LIMITS),
            ("double", sample.limits),
            ("add", sample.limits),
            ("square", sample.limits),
        }


def test_the_first_failure_stops_the_rest_and_is_raised(tmp_path: Path) -> None:
    sample = sample_with(tmp_path)
    done: list[int] = []
    lock = threading.Lock()

    def act(item: int) -> None:
        if item == 3:
            raise ZeroDivisionError(item)
        threading.Event().wait(0.001)
        with lock:
            done.append(item)

    with pytest.raises(ZeroDivisionError, match="3"):
        sample.in_threads(2, act, range(1000))
    assert len(done) < 500


def test_threads_are_used_again_and_a_step_may_begin_another(tmp_path: Path) -> None:
    sample = sample_with(tmp_path)
    sample.threads.shutdown()
    object.__setattr__(sample, "threads", ThreadPoolExecutor(1))
    did: list[tuple[int, int]] = []

    def outer(item: int) -> None:
        sample.in_threads(3, lambda inner: did.append((item, inner)), range(3))

    before = threading.active_count()
    for _ in range(5):  # no thread is free for the inner steps
        sample.in_threads(3, outer, range(3))
    assert sorted(did) == sorted(5 * [(item, inner) for item in range(3) for inner in range(3)])
    assert threading.active_count() <= before + 1


def test_no_item_is_no_work(tmp_path: Path) -> None:
    sample_with(tmp_path).in_threads(2, pytest.fail, [])
