"""What a run of a submission may use."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from balancer.judging.judgements import VALIDATOR_LIMITS
from balancer.pipeline.round.sample import Sample
from balancer.pipeline.round.shell import judge_problem
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
def test_the_package_s_time_limit_is_scaled_and_ours_is_not(tmp_path, named_s, factor, cpu_s):
    limits = sample_with(tmp_path, time_limit_s=named_s, factor=factor).known.limits
    assert limits.cpu_s == cpu_s
    assert limits.wall_s == 3 * cpu_s + 2


@pytest.mark.parametrize(("named", "memory"), [(None, 2**30), (64 * 2**20, 64 * 2**20)])
def test_the_package_s_memory_limit_holds(tmp_path, named, memory):
    assert sample_with(tmp_path, memory_bytes=named).known.limits.memory_bytes == memory


def test_submissions_run_within_the_limits_and_validators_within_their_own(tmp_path):
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
            ("double", sample.known.limits),
            ("add", sample.known.limits),
            ("square", sample.known.limits),
        }
