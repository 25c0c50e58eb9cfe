"""The hard problems of `tests/problems` are whole: they can be read, and their validators accept all their own data.

That accepted submissions are kept and wrong ones are killed by the secret data takes minutes: `bench_yield` tells.
"""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from balancer.pipeline.packages.read import find_packages, read_problem
from balancer.program import Limits
from balancer.sandbox.local.executor import LocalExecutor

HARD = Path(__file__).resolve().parents[2] / "problems"
PACKAGES = [path for half in ("dev", "held_out") for path in find_packages(HARD / half)]
MOST_BYTES = 8_000_000


@pytest.fixture(scope="module")
def executor():
    executor = LocalExecutor("local://hard")
    yield executor
    executor.close()


@pytest.mark.more
@pytest.mark.parametrize("path", PACKAGES, ids=lambda path: path.name)
def test_the_validators_accept_all_own_data(path, executor):
    problem = read_problem(path)
    limits = Limits(cpu_s=30, wall_s=120, compile_s=120)
    runs = [(validator, known) for validator in problem.input_validators for known in problem.data]
    with ThreadPoolExecutor(2) as threads:
        ended = list(threads.map(lambda run: executor.run(run[0], run[1].data, limits, {}), runs))
    refused = {run[1].origin.detail: end.stderr for run, end in zip(runs, ended, strict=True) if end.exit_code != 42}
    assert runs
    assert not refused


@pytest.mark.parametrize("path", PACKAGES, ids=lambda path: path.name)
def test_a_package_has_what_the_yield_is_measured_with(path):
    problem = read_problem(path)
    slow = [s for s in problem.wrong if s.expected == "time_limit_exceeded"]
    secret = [known for known in problem.data if known.origin.detail.startswith("secret/")]
    assert problem.time_limit_s is not None
    assert not problem.left_out.keys() & {s.name for s in problem.submissions}
    assert len(problem.accepted) >= 2
    assert len(problem.wrong) >= 8
    assert len(slow) >= 2
    assert 1 <= len(problem.data) - len(secret) <= 3
    assert 6 <= len(secret) <= 15
    assert all(known.answer is not None for known in problem.data)


def test_both_halves_are_of_one_kind_and_all_is_small():
    halves = [[path for path in PACKAGES if path.parent.name == half] for half in ("dev", "held_out")]
    assert min(map(len, halves)) >= 6
    assert abs(len(halves[0]) - len(halves[1])) <= 1
    assert sum(file.stat().st_size for file in HARD.rglob("*") if file.is_file()) <= MOST_BYTES


def test_every_package_keeps_what_made_its_secret_data():
    assert all((path / "generators/gen.py").is_file() for path in PACKAGES)
