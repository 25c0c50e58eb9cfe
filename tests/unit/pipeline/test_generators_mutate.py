"""The generators as the pipeline uses them: deterministic, distinct, lazy, mostly valid, and never out of order."""

import functools
import os
import random
import re
import subprocess
import sys
import time
from collections.abc import Callable
from itertools import islice
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from balancer.pipeline.generators import mutate
from balancer.pipeline.generators.learn.edges import is_connected
from balancer.pipeline.generators.mutate import MutateGenerator
from balancer.pipeline.generators.write.changes import changes
from balancer.pipeline.packages.read import read_problem
from balancer.pipeline.proposing import CaseFeedback, Feedback, UnusedInput
from balancer.problem import Origin, Problem, Proposal
from tests.unit.pipeline.knowing import known, problem


def proposed(what: Problem, budget: int, seed: int = 1) -> list[Proposal]:
    return list(MutateGenerator().propose(what, random.Random(seed), budget))


# -- any input at all ----------------------------------------------------------------------------------

token = st.sampled_from(
    ["0", "1", "2", "3", "5", "-7", "10", "2.50", "abc", "#.", "0110", "9" * 30, "\u00e9", "-", "1e9"]
)
line = st.lists(token, max_size=4).map(" ".join)
any_input = st.binary(max_size=40) | st.lists(line, max_size=5).map(lambda lines: "\n".join(lines).encode())


@given(st.lists(any_input, max_size=3), st.integers(0, 12), st.integers(0, 10**6))
def test_any_known_inputs_give_the_same_distinct_new_inputs_within_the_budget(inputs, budget, seed):
    found, more = ([proposal.data for proposal in proposed(problem(*inputs), n, seed)] for n in (budget, budget + 5))
    assert found == more[:budget]
    assert len(found) <= budget
    assert len(set(found)) == len(found)
    assert not set(found) & set(inputs)


def test_inputs_do_not_depend_on_the_hash_seed_of_the_process():
    """Sets of strings come in another order in every process; nothing may follow it."""
    code = (
        "import random, hashlib, test_generators_mutate as t\n"
        "what = t.problem('3 ab\\npush 1\\npop\\npush 2\\n', '4 b\\npop\\npop\\npush 1\\npush 3\\n')\n"
        "print(hashlib.sha256(b''.join(made.data for made in t.proposed(what, 40))).hexdigest())\n"
    )
    here, root = Path(__file__).parent, Path(mutate.__file__).parents[3]
    digests = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": f"{here}{os.pathsep}{root}"},
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(digests) == 1
    assert len(digests.pop()) > 60


def test_a_number_goes_as_far_as_its_own_bound_says():
    inputs = islice(
        MutateGenerator().propose(read_problem("examples/problems/rope-cutting"), random.Random(1), 300), 20
    )
    assert max(int(each.data.split()[1]) for each in inputs) == 10**12


def test_when_nothing_new_is_left_it_ends():
    """There are few inputs of one digit within 1 to 3."""
    found = proposed(problem("1\n", "2\n", validator="assert 1 <= n <= 3"), 500)
    assert {proposal.data for proposal in found} >= {b"3\n"}
    assert len(found) < 500


def test_inputs_are_made_one_at_a_time():
    """A thousand inputs of a megabyte would take minutes; the first few take none of that time."""
    what = problem("3\n1 2 3\n", "2\n5 5\n", validator="assert 1 <= n <= 200000\nassert 0 <= x <= 10**9")
    started = time.thread_time()
    stream = iter(MutateGenerator().propose(what, random.Random(1), 10**6))
    assert len(list(islice(stream, 3))) == 3
    assert time.thread_time() - started < 2


def test_origins_say_what_was_done():
    found = proposed(problem("3 4\n1 2 3\n", "2 1\n5 5\n"), 100)
    details = [proposal.origin.detail for proposal in found]
    assert all(proposal.origin.generator == "mutate" for proposal in found)
    assert all(0 < len(detail) <= 80 and "\n" not in detail for detail in details)
    assert any(re.fullmatch(r"n: \d+ -> \d+", detail) for detail in details)
    assert any(re.fullmatch(r"random tiny n=\d+", detail) for detail in details)
    assert any(re.fullmatch(r"list b (all equal|sorted|.*)", detail) for detail in details)
    assert not any(proposal.sample or proposal.answer is not None for proposal in found)


def test_a_long_list_takes_the_room_there_is():
    """A million numbers of ten digits are allowed; 8 MB are made of them, not 11 and not nothing."""
    what = problem("2\n1 2\n", "3\n7 5 9\n", validator="assert 1 <= n <= 10**6\nassert 1 <= x <= 10**9")
    assert 6_500_000 <= max(len(made.data) for made in proposed(what, 3)) <= 8_000_100


def test_sizes_of_known_inputs_are_changed():
    details = {detail for detail, _ in islice(changes(known("4\n1 2 3 9\n"), random.Random(1)), 300)}
    assert {"n: 4 -> 1", "n: 4 -> 3", "n: 4 -> 5", "n: 4 -> 8"} <= details


# -- formats: counts are true, most inputs are valid, the corners are there ------------------------------


def rows_of(text: bytes) -> list[list[str]]:
    """Read an input as a validator would: strictly, line by line."""
    *lines, rest = text.decode().split("\n")
    assert rest == ""
    return [line.split(" ") for line in lines]


def ints(words: list[str], low: int, high: int) -> list[int]:
    assert all(re.fullmatch("0|-?[1-9][0-9]*", word) and low <= int(word) <= high for word in words)
    return list(map(int, words))


Rows = list[list[str]]


def _array(rows: Rows) -> None:
    (n,), values = rows
    ints([n], 1, 50000)
    assert len(ints(values, -(10**9), 10**9)) == int(n)


def _tree(rows: Rows) -> None:
    (n,), *edges = rows
    ints([n], 1, 20000)
    assert len(edges) == int(n) - 1
    ends = [ints(edge, 1, int(n)) for edge in edges]
    assert is_connected(int(n), [(one - 1, other - 1) for one, other in ends])


# One row: known inputs, the validator as text (only read), the validator as code, and the share valid at least.
FORMATS: list[tuple[list[str], str, Callable[[Rows], None], float]] = [
    (
        ["3\n7 5 9\n", "2\n-4 4\n"],
        "assert 1 <= n <= 50000\nassert all(-10**9 <= x <= 10**9 for x in a)",
        _array,
        0.9,
    ),
    (["3\n1 2\n3 2\n", "5\n1 2\n4 1\n4 3\n5 4\n"], "assert 1 <= n <= 20000\n# a tree", _tree, 0.85),
]


@functools.cache
def checked(index: int, seed: int) -> list[tuple[Proposal, bool]]:
    """Return the inputs proposed for a format, and whether each is valid."""
    inputs, validator, check, _ = FORMATS[index]
    return [(made, is_valid(check, made.data)) for made in proposed(problem(*inputs, validator=validator), 60, seed)]


def is_valid(check: Callable[[Rows], None], text: bytes) -> bool:
    try:
        check(rows_of(text))
    except (AssertionError, ValueError):  # as many words or lines as are not wanted
        return False
    return True


@pytest.mark.parametrize("index", range(len(FORMATS)), ids=[check.__name__ for _, _, check, _ in FORMATS])
def test_most_inputs_are_valid(index):
    inputs, _, check, share = FORMATS[index]
    assert all(is_valid(check, text.encode()) for text in inputs)
    found = checked(index, seed=1)
    assert len(found) == 60
    assert sum(valid for _, valid in found) >= share * len(found)


@pytest.mark.sampled(1)
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_corners_of_a_list_come_early(seed):
    """Within a budget of 40: one element, the most, extremes, ties, order, and many small ones."""
    lists = [list(map(int, made.data.split()[1:])) for made, valid in checked(0, seed)[:40] if valid]
    assert any(len(values) == 1 for values in lists)
    assert any(len(values) == 50000 for values in lists)
    assert any(max(values) == 10**9 for values in lists)
    assert any(min(values) == -(10**9) for values in lists)
    assert any(len(values) > 2 and len(set(values)) == 1 for values in lists)
    assert any(len(values) > 2 and values == sorted(values) and len(set(values)) > 2 for values in lists)
    assert any(len(values) > 2 and values == sorted(values, reverse=True) and len(set(values)) > 2 for values in lists)
    assert sum(len(values) <= 10 for values in lists) >= 15


# -- later rounds -------------------------------------------------------------------------------------


def _feedback(what: Problem, told: bytes) -> Feedback:
    case = CaseFeedback(1, Origin("mutate", "small"), told, ("wrong/a.py",))
    refused = UnusedInput(Origin("mutate", "large"), b"7 7\n", "validate.py refuses it")
    return Feedback(1, (case,), (), (), (refused,), (), what.wrong)


def test_a_later_round_starts_from_what_has_told_programs_apart():
    what = problem(b"1\n5\n", b"2\n5 6\n")
    told = b"3\n123457 765433 271829\n"
    first = {proposal.data for proposal in MutateGenerator().propose(what, random.Random(1), 40)}
    later = list(MutateGenerator().refine(what, _feedback(what, told), random.Random(1), 40))
    assert later == list(MutateGenerator().refine(what, _feedback(what, told), random.Random(1), 40))
    assert told not in {proposal.data for proposal in later}
    assert b"7 7\n" not in {proposal.data for proposal in later}
    numbers = {int(token) for proposal in later for token in proposal.data.split()[1:]}
    assert numbers & {123457, 765433, 271829}  # they are known now
    assert not {123457, 765433, 271829} & {int(token) for data in first for token in data.split()[1:]}
