"""Constants of programs as values of inputs."""

import random
from dataclasses import replace
from string import ascii_lowercase

from balancer.pipeline.generators.learn.program_constants import constants_of
from balancer.pipeline.generators.mutate import MutateGenerator
from balancer.pipeline.generators.write.changes import set_constants
from balancer.problem import Submission
from balancer.program import Program
from tests.unit.pipeline.knowing import known, problem

# Off by one at a bound that only the programs name.
_VALIDATOR = """import sys
t, k = map(int, input().split())
assert 0 <= t <= 100000 and 1 <= k <= 9
sys.exit(42)
"""
_PROGRAM = "t, k = map(int, input().split())\nprint(k * (5 if t {} 5400 else 9))\n"


def test_rare_constants_of_wrong_submissions_come_first():
    right = Submission(
        "a.cpp", Program("cpp", "int a[1005]; int main() { if (x > 700) y(10 * 1000, 8, 1); }"), True, ""
    )
    wrong = Submission("b.py", Program("python", "if n > 700 or n == 365: x(7)  # 12345"), False, "")
    assert constants_of((right, wrong)) == (365, 700, 1005, 10_000, 7, 8)


def test_words_of_strings_come_after_numbers():
    right = Submission("a.cpp", Program("cpp", 'int main() { x("%d\\n", "meow", "a b", "z", 7); } // "dog"'), True, "")
    wrong = Submission("b.py", Program("python", "x = b'meow', 'purr', '', 'd\\n', 8"), False, "")
    assert constants_of((right, wrong)) == (8, 7, "purr", "meow")


def test_a_value_that_only_programs_name_is_tried():
    plain = problem("30 2\n", "9000 3\n", validator=_VALIDATOR)
    right = Submission("right.py", Program("python", _PROGRAM.format("<")), True, "accepted")
    wrong = Submission("wrong.py", Program("python", _PROGRAM.format("<=")), False, "wrong_answer")

    def proposed(*by: Submission) -> bool:
        found = MutateGenerator().propose(replace(plain, submissions=by), random.Random(1), 45)
        return any(each.data.startswith(b"5400 ") for each in found)

    assert not proposed()
    assert proposed(right, wrong)


def test_words_that_programs_name_are_values_and_so_are_words_near_them():
    found = known("3 yarn\n", "2 pastimeofwhimsy\n", validator="assert re.match('[1-9] [a-z]{1,20}\\n', line)")
    changed = [
        next(tokens[0] for slot, tokens in given.items() if slot[0] == 1)
        for seed in range(5)
        for _, given in set_constants(found, ("meow", "Meow", "m" * 22), random.Random(seed))
    ]
    assert changed[0] == "meow"
    assert {3, 4, 5} <= {len(word) for word in changed}, "one letter less, another or more"
    assert "meowmeow" in changed
    assert any("meow" in word and len(word) == len("meow pastimeofwhimsy") - 1 for word in changed), "inside another"
    assert all(set(word) <= set(ascii_lowercase) for word in changed), "as the validator wants it"
