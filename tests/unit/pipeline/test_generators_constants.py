"""Constants of programs as values of inputs."""

import random
from dataclasses import replace

import pytest

from balancer.pipeline.generators.learn.program_constants import constants_of
from balancer.pipeline.generators.mutate import MutateGenerator
from balancer.problem import Submission
from balancer.program import Program
from tests.unit.pipeline.knowing import problem
from tests.unit.pipeline.search.relations import CORNERS, Cause


def submissions(cause: Cause) -> tuple[Submission, ...]:
    return (
        Submission("right.py", Program("python", cause.accepted), True, "accepted"),
        Submission("wrong.py", Program("python", cause.wrong), False, "wrong_answer"),
    )


def test_rare_constants_of_wrong_submissions_come_first() -> None:
    right = Submission(
        "a.cpp", Program("cpp", "int a[1005]; int main() { if (x > 700) y(10 * 1000, 8, 1); }"), True, ""
    )
    wrong = Submission("b.py", Program("python", "if n > 700 or n == 365: x(7)  # 12345"), False, "")
    assert constants_of((right, wrong)) == (365, 700, 1005, 10_000, 7, 8)


@pytest.mark.parametrize(("name", "wanted"), [("bound in code", b"5400 "), ("count in code", b"366\n")])
def test_a_value_that_only_programs_name_is_tried(name: str, wanted: bytes) -> None:
    cause = CORNERS[name]
    plain = problem(*cause.samples, validator=cause.validator)

    def proposed(known: tuple[Submission, ...]) -> bool:
        found = MutateGenerator().propose(replace(plain, submissions=known), random.Random(1), 45)
        return any(each.data.startswith(wanted) for each in found)

    assert not proposed(())
    assert proposed(submissions(cause))
