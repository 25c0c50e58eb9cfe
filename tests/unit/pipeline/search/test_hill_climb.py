"""Climbing to inputs on which a survivor is slow. The times are functions of the input, so every slope is known."""

import random
from collections.abc import Callable
from dataclasses import replace
from itertools import islice, pairwise
from typing import Any

import pytest

from balancer.pipeline.generators.draw.styles import large_styles
from balancer.pipeline.generators.slow import SlowPlugin
from balancer.pipeline.proposing import CaseFeedback
from balancer.problem import Origin, Proposal
from balancer.program import Execution
from balancer.settings.pipeline import AimSettings
from tests.unit.pipeline.search.comparing import Bench, Comparing, Does, feedback, make_problem, took

LISTS = ("3\n5 1 4\n", "1\n7\n", "6\n9 2 2 8 1 5\n")


VALIDATOR = """
n = int(input())
assert 1 <= n <= 2000
a = list(map(int, input().split()))
assert len(a) == n
assert all(0 <= x <= 1000000 for x in a)
"""


def values(data: bytes) -> list[int]:
    return [int(token) for token in data.split()[1:]]


def accepts(data: bytes) -> bool:
    found = values(data)
    return len(found) == int(data.split()[0]) <= 2000 and all(0 <= value <= 10**6 for value in found)


def climbed(
    survivor: Does,
    *,
    right: Does | None = None,
    runs: int = 3000,
    inputs: tuple[str, ...] = LISTS,
    validator: str = VALIDATOR,
    valid: Callable[[bytes], bool] = accepts,
    seed: int = 1,
) -> tuple[list[Proposal], Comparing]:
    comparer = Comparing({"right": right or (lambda data: took(0.01))}, {"slow": survivor}, valid)
    problem = make_problem(*inputs, validator=validator)
    generator: Any = SlowPlugin().equip(Bench(comparer, AimSettings(runs=runs)))  # type: ignore[arg-type]
    told = feedback(problem, comparer.survivors)
    return [each for each in generator.refine(problem, told, random.Random(seed), 60) if each], comparer


def organ(data: bytes) -> float:
    """Return how well a list goes up and then down, strictly, and how long it is: no style draws that."""
    found = values(data)
    half = len(found) // 2
    up = sum(a < b for a, b in pairwise(found[:half]))
    down = sum(a > b for a, b in pairwise(found[half:]))
    return up * down / 1000**2


def test_the_largest_input_is_tried_at_once() -> None:
    found, comparer = climbed(lambda data: took(len(values(data)) / 1900))
    assert len(found) == 1
    assert len(values(found[0].data)) >= 1900
    assert found[0].origin.generator == "slow"
    assert comparer.runs < 200


def test_it_climbs_to_a_shape_that_is_not_among_the_first_inputs() -> None:
    found, comparer = climbed(lambda data: took(organ(data) * 1.2))
    assert len(found) == 1
    assert organ(found[0].data) * 1.2 >= 1
    assert accepts(found[0].data)
    assert comparer.runs < 3000


@pytest.mark.parametrize("seed", [1, 5, 8])
def test_where_nothing_is_counted_one_number_is_as_great_as_may_be_and_another_is_near_a_known_one(seed: int) -> None:
    def valid(data: bytes) -> bool:
        days, *others = map(int, data.split())
        return len(others) == 4 and 1 <= days <= 40 and all(0 <= value <= 100 for value in others)

    measured: dict[bytes, None] = {}

    def survivor(data: bytes) -> Execution | None:
        measured[data] = None
        days, *others = map(int, data.split())
        return took(days / 40 * {(0, 1, 0, 0): 0.5, (0, 1, 1, 0): 1.2}.get(tuple(others), 0.001))

    found, comparer = climbed(
        survivor,
        inputs=("4 0 1 0 0\n", "5 0 1 0 0\n", "10 99 0 0 0\n", "1 80 0 7 0\n"),
        validator="d, *a = map(int, input().split())\nassert 1 <= d <= 40 and all(0 <= x <= 100 for x in a)\n",
        valid=valid,
        seed=seed,
    )
    assert [each.data.split()[1:] for each in found] == [[b"0", b"1", b"1", b"0"]]
    assert comparer.runs < 850
    assert {*list(measured)[:3]} == {b"40 0 1 0 0\n", b"40 99 0 0 0\n", b"40 80 0 7 0\n"}


@pytest.mark.more
def test_what_is_too_slow_for_the_reference_solution_is_no_find() -> None:
    found, _ = climbed(lambda data: took(len(values(data)) / 1000), right=lambda data: took(len(values(data)) / 1001))
    assert all(1000 <= len(values(each.data)) <= 1001 / 1.2 + 1 for each in found) or found == []
    assert found == []


def test_another_answer_on_a_large_input_is_a_find() -> None:
    def right(data: bytes) -> Execution:
        return took(0.01, b"%d" % sum(values(data)))

    def overflow(data: bytes) -> Execution:
        return took(0.01, b"%d" % (sum(values(data)) % 2**28))

    found, _ = climbed(overflow, right=right)
    assert len(found) == 1
    assert sum(values(found[0].data)) >= 2**28


def test_where_nothing_is_slow_at_all_it_gives_up_early() -> None:
    found, comparer = climbed(lambda data: took(0.001), runs=100_000)
    assert found == []
    assert comparer.runs < 500


def test_a_failure_of_the_infrastructure_is_not_slow() -> None:
    found, _ = climbed(lambda data: None, runs=500)
    assert found == []


def test_nothing_is_proposed_in_the_first_round() -> None:
    comparer = Comparing({"right": lambda data: b""}, {"slow": lambda data: took(2.0)})
    generator = SlowPlugin().equip(Bench(comparer))  # type: ignore[arg-type]
    assert list(generator.propose(make_problem(*LISTS), random.Random(1), 60)) == []
    assert comparer.runs == 0


def test_it_ends_where_all_styles_of_large_inputs_were_judged() -> None:
    """It looked for another one for ever, and nothing could stop it."""
    comparer = Comparing({"right": lambda data: took(0.01)}, {"slow": lambda data: took(0.01)}, accepts)
    problem = make_problem(*LISTS, validator=VALIDATOR)
    judged = {style.name for style in islice(large_styles(random.Random(1)), 100)}
    cases = tuple(CaseFeedback(50, Origin("mutate", name), b"1\n0\n", (), ()) for name in judged)
    generator: Any = SlowPlugin().equip(Bench(comparer))  # type: ignore[arg-type]
    found = generator.refine(problem, replace(feedback(problem, comparer.survivors), cases=cases), random.Random(1), 60)
    assert not [each for each in found if each]


def test_it_starts_with_the_largest_inputs_of_styles_that_were_not_judged() -> None:
    comparer = Comparing(
        {"right": lambda data: took(0.01)}, {"slow": lambda data: took(len(values(data)) / 1900)}, accepts
    )
    problem = make_problem(*LISTS, validator=VALIDATOR)
    told = feedback(problem, comparer.survivors)
    first = []
    for judged in ("a list as it was", "most, anywhere n=2000"):
        case = CaseFeedback(50, Origin("mutate", judged), b"1\n0\n", (), ())
        generator: Any = SlowPlugin().equip(Bench(comparer))  # type: ignore[arg-type]
        found = generator.refine(problem, replace(told, cases=(*told.cases, case)), random.Random(1), 60)
        first.append(next(each.origin.detail for each in found if each))
    assert first == ["most, anywhere", "most, greatest values"]
