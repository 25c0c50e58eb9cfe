"""Searching among small inputs, and what comes of a difference."""

import random
import threading
from collections.abc import Callable, Collection, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import islice
from typing import Any

import pytest

from balancer.hookspecs import Generator
from balancer.pipeline.generators.learn.knowledge import knowledge_of
from balancer.pipeline.generators.search.differences import MadeInput, SearchBudget
from balancer.pipeline.generators.search.small_inputs import SmallInputs, answer_kind
from balancer.pipeline.generators.slow import SlowPlugin
from balancer.pipeline.generators.stress import StressPlugin
from balancer.problem import Proposal, Submission
from balancer.program import Execution
from balancer.settings.pipeline import AimSettings
from tests.patience import PATIENCE_S
from tests.unit.pipeline.search.comparing import Bench, Comparing, feedback, make_problem, took

LISTS = ("3\n5 1 4\n", "1\n7\n", "6\n9 2 2 8 1 5\n")
WORDS = ("(())()\n", "()\n", "())(\n")


def numbers(data: bytes) -> list[int]:
    return [int(token) for token in data.split()[1:]]


def equipped(plugin: Any, bench: Bench) -> Generator:
    made: Generator = plugin.equip(bench)
    return made


def refined(plugin: Any, bench: Bench, *inputs: str, telling: tuple[bytes, ...] = (), seed: int = 1) -> list[Proposal]:
    problem = make_problem(*inputs)
    told = feedback(problem, bench.comparer.survivors, *telling)
    generator: Any = equipped(plugin, bench)
    return [each for each in generator.refine(problem, told, random.Random(seed), 60) if each]


# -- random --------------------------------------------------------------------------------------------


def small(*inputs: str, seed: int = 1) -> SmallInputs:
    problem = make_problem(*inputs)
    return SmallInputs(knowledge_of(problem), [each.data for each in problem.data], [], random.Random(seed))


@pytest.mark.parametrize("inputs", [LISTS, WORDS, ("\x00\xff", "strange\n\n1 2\n")], ids=["lists", "words", "no shape"])
def test_small_inputs_are_new_and_follow_from_the_seed(inputs: tuple[str, ...]) -> None:
    once, again = small(*inputs), small(*inputs)
    for _ in range(3):
        batch = once.batch()
        assert batch
        assert batch == again.batch()
        for source in (once, again):
            source.heard(batch, [each.data[-2:-1] < b"5" for each in batch])
    made = [each.data for _ in range(3) for each in once.batch()]
    assert len(set(made)) == len(made)


def test_where_nearly_all_is_refused_valid_inputs_are_changed_further() -> None:
    """Lists whose sum is 1000 exactly: drawn by chance once in a while, and kept to by moving between two of them."""
    source = small("3\n500 300 200\n", "2\n999 1\n")

    def accepts(data: bytes) -> bool:
        return sum(numbers(data)) >= 1000 and all(value <= 999 for value in numbers(data))

    shares = []
    for _ in range(8):
        batch = source.batch()
        says = [accepts(each.data) for each in batch]
        source.heard(batch, says)
        shares.append(sum(says) / len(batch))
    assert sum(shares[-3:]) > sum(shares[:3])


def test_refused_inputs_are_mended_where_there_are_many() -> None:
    """They come first in the next batch, and are changed further; if none can be mended, that is given up."""
    problem, asked = make_problem(*LISTS), list[Sequence[str]]()

    def mend(refused: Sequence[str], wanted: int) -> list[MadeInput]:
        asked.append(refused)
        return [MadeInput("mended", "", b"2\n%d 0\n" % n) for n in range(50_000, 50_003)] if len(asked) < 3 else []

    source = SmallInputs(knowledge_of(problem), [each.data for each in problem.data], [], random.Random(1), mend)
    source.heard(source.batch(), [True] * 250)
    source.batch()
    assert not asked, "few are refused"
    batch = source.batch()
    for _ in range(5):
        source.heard(batch, [each.kind == "mended" for each in batch])
        batch = source.batch()
        if len(asked) == 1:
            assert [each.data for each in batch[:3]] == [b"2\n50000 0\n", b"2\n50001 0\n", b"2\n50002 0\n"]
        assert sum(each.kind == "mended" for each in batch) == 3 * (len(asked) == 1), "each comes once"
    assert len(asked) == 3, "the last two mended nothing new"
    assert all(refused and isinstance(refused[0], str) for refused in asked)


def test_constants_of_submissions_are_values_and_sizes_of_valid_inputs() -> None:
    problem = make_problem(*LISTS, "2\n3000000 1\n")
    source = SmallInputs(
        knowledge_of(problem),
        [each.data for each in problem.data],
        [],
        random.Random(1),
        constants=(37, 12345, 10**6),
    )
    made = [each.data for _ in range(6) for each in source.batch() if each.kind == "constants"]
    assert {len(numbers(data)) for data in made} >= {36, 37, 38}
    assert all(any(value in numbers(data) for data in made) for value in (36, 12345, 12346, 10**6 - 1))
    assert max(map(len, made)) < 30_000


@pytest.mark.parametrize(
    ("one", "other", "alike"),
    [
        (b"no", b"no\n", True),
        (b"yes", b"no", False),
        (b"3", b"4", False),
        (b"1234", b"9999", True),
        (b"999", b"1000", False),
        (b"-500", b"500", False),
        (b"1 2 3\n", b"3 2 1 2", False),
        (b"1 2 2 2 3\n", b"3 2 1 1", True),
        (b"", b"0", False),
        (b"\xff", b"\xff", True),
    ],
)
def test_answers_of_one_kind(one: bytes, other: bytes, alike: bool) -> None:
    assert (answer_kind(one) == answer_kind(other)) is alike


def test_an_input_with_a_rare_answer_is_changed_as_often_as_all_others() -> None:
    source = small(*LISTS)
    batch = source.batch()
    source.heard(batch, [True] * len(batch))
    rare = MadeInput("mended", "", b"6\n77777 77777 77777 77777 77777 77777\n")
    source.answered([(rare, b"yes"), *((each, b"no") for each in batch)])
    made = [each.data for _ in range(3) for each in source.batch() if each.kind == "answers"]
    assert 0.2 < sum(b"77777" in data for data in made) / len(made) < 0.8


# -- what is found -------------------------------------------------------------------------------------


def total(data: bytes) -> bytes:
    return b"%d\n" % sum(numbers(data))


def total_of_different(data: bytes) -> bytes:
    return b"%d\n" % sum(set(numbers(data)))


def crash_on_descent(data: bytes) -> Execution | bytes:
    values = numbers(data)
    return Execution(took(0.0).status, exit_code=-11) if values == sorted(values)[::-1] != values[:1] else total(data)


@pytest.mark.parametrize("plugin", [StressPlugin(), SlowPlugin()], ids=lambda each: each.name)
def test_a_survivor_for_which_another_search_has_found_an_input_is_left_out(plugin: Any) -> None:
    comparer = Comparing({"sum": total}, {"set": total_of_different, "descent": crash_on_descent})
    assert refined(plugin, Bench(comparer, found={"set", "descent"}), *LISTS) == []
    assert comparer.runs == 0


def test_a_search_tells_the_others_for_whom_it_has_found_an_input() -> None:
    comparer = Comparing({"sum": total}, {"set": total_of_different, "descent": crash_on_descent, "right": total})
    bench = Bench(comparer, AimSettings(runs=4000), found={"descent"})
    found = refined(StressPlugin(), bench, *LISTS)
    assert len(found) == 1
    assert total_of_different(found[0].data) != total(found[0].data)
    assert bench.found == {"descent", "set"}


@pytest.mark.sampled(1)
def test_what_a_validator_refuses_or_does_not_judge_is_never_proposed() -> None:
    def accepts(data: bytes) -> bool | None:
        values = numbers(data)
        return None if len(values) % 2 else len(set(values)) == len(values)

    comparer = Comparing({"sum": total}, {"set": total_of_different}, accepts)
    assert refined(StressPlugin(), Bench(comparer, AimSettings(runs=20_000)), *LISTS) == []
    assert all(accepts(data) for data in comparer.seen)


class Spoilt(Comparing):
    """Many inputs in one run: one spoils the next."""

    def answers(self, submission: Any, inputs: Any) -> list[Execution | None]:
        ended = super().answers(submission, inputs)
        return [took(0.0, b"spoilt") for _ in ended] if submission.name == "fine" else ended


def down(data: bytes) -> None:
    return None


@pytest.mark.parametrize(
    "comparer",
    [
        Comparing({"sum": total}, {"down": down}),
        Comparing({"down": down}, {"set": total_of_different}),
        Comparing({"sum": total, "also set": total_of_different}, {"set": total_of_different}),
        Spoilt({"sum": total}, {"fine": total}),
    ],
    ids=["a failure of the infrastructure", "of the right one", "right ones disagree", "it is gone when run alone"],
)
def test_what_is_no_difference_is_no_find(comparer: Comparing) -> None:
    assert refined(StressPlugin(), Bench(replace(comparer), AimSettings(runs=5000)), *LISTS) == []


def test_nothing_is_run_before_anything_survives_and_after_nothing_does() -> None:
    comparer = Comparing({"sum": total}, {})
    problem = make_problem(*LISTS)
    assert list(equipped(StressPlugin(), Bench(comparer)).propose(problem, random.Random(1), 60)) == []
    assert refined(StressPlugin(), Bench(comparer), *LISTS) == []
    assert comparer.runs == 0


@pytest.mark.parametrize(("validator", "aim"), [("", AimSettings()), ("pass", AimSettings(seconds=0))])
def test_without_a_validator_or_agreement_or_time_nothing_is_searched(validator: str, aim: AimSettings) -> None:
    comparer = Comparing({"sum": total}, {"set": total_of_different})
    problem = make_problem(*LISTS, validator=validator)
    generator: Any = equipped(StressPlugin(), Bench(comparer, aim))
    assert list(generator.refine(problem, feedback(problem, comparer.survivors), random.Random(1), 60)) == []
    assert comparer.runs == 0


def test_a_search_keeps_to_its_runs() -> None:
    comparer = Comparing({"sum": total}, {"right after all": total})
    refined(StressPlugin(), Bench(comparer, AimSettings(runs=3000)), *LISTS)
    assert 3000 <= comparer.runs < 3000 + 3 * 500


def test_the_turns_of_others_cost_a_search_nothing() -> None:
    now_s = [0.0]
    comparer = Comparing({"sum": total}, {"right after all": total})
    allowance = SearchBudget(comparer, 10.0, 5, lambda: now_s[0])
    for _ in allowance.turns([None, None], 60):
        now_s[0] += 100.0  # others search meanwhile, and run programs
        comparer.runs += 100
    assert allowance.left
    now_s[0] += 10.0
    assert not allowance.left


def test_a_later_round_goes_on_where_the_last_one_stopped() -> None:
    comparer = Comparing({"sum": total}, {"right after all": total})
    problem = make_problem(*LISTS)
    generator: Any = equipped(StressPlugin(), Bench(comparer, AimSettings(runs=2000)))
    told = feedback(problem, comparer.survivors)
    list(generator.refine(problem, told, random.Random(1), 60))
    first = set(comparer.seen)
    comparer.seen.clear()
    list(generator.refine(problem, told, random.Random(2), 60))
    assert comparer.seen
    assert not first & set(comparer.seen)


def test_stress_finds_what_is_close_to_an_input_that_killed_others() -> None:
    """Only lists that begin with 31337 fail: nobody draws that, but an input that has it was changed before."""

    def fails(data: bytes) -> bytes:
        values = numbers(data)
        return b"0" if values[:1] == [31337] and len(values) > 1 and values[-1] < 3 else total(data)

    comparer = Comparing({"sum": total}, {"far": fails})
    found = refined(StressPlugin(), Bench(comparer), *LISTS, telling=(b"4\n31337 5 5 8\n",))
    assert [fails(each.data) != total(each.data) for each in found] == [True]


class AtOnce(Comparing):
    """A comparer in which the first runs of some submissions meet: each one waits until all have begun."""

    def __init__(self, *does: Any, meet: Collection[str]) -> None:
        super().__init__(*does)
        self._door = threading.Barrier(len(meet), timeout=PATIENCE_S)
        self._left = set(meet)

    def each(self, act: Callable[[Any], None], items: Iterable[Any]) -> None:
        todo = list(items)
        with ThreadPoolExecutor(8 if todo and isinstance(todo[0], Submission) else 1) as threads:
            list(threads.map(act, todo))

    def answers(self, submission: Submission, inputs: Sequence[bytes]) -> list[Execution | None]:
        self._meet(submission)
        return super().answers(submission, inputs)

    def measured(self, submission: Submission, data: bytes) -> Execution | None:
        self._meet(submission)
        return super().measured(submission, data)

    def _meet(self, submission: Submission) -> None:
        if submission.name in self._left:
            self._left.discard(submission.name)
            self._door.wait()


@pytest.mark.parametrize(
    "plugin", [StressPlugin(), pytest.param(SlowPlugin(), marks=pytest.mark.more)], ids=lambda each: each.name
)
def test_the_survivors_run_at_once(plugin: Any) -> None:
    does = {"sum": total}, {"set": total_of_different, "descent": crash_on_descent, "right": total}
    found = [
        refined(plugin, Bench(comparer, AimSettings(runs=3000 if plugin.name == "stress" else 300)), *LISTS)
        for comparer in (AtOnce(*does, meet=does[1]), Comparing(*does))
    ]
    assert found[0]
    assert plugin.name == "slow" or found[0] == found[1], "the same in the same order"


def test_costly_programs_run_on_fewer_inputs_at_a_time_and_in_the_same_order() -> None:
    def search(time_s: float) -> tuple[list[bytes], int]:
        comparer = Comparing({"sum": lambda data: took(time_s, total(data))}, {"right": total})
        problem, turns = make_problem(*LISTS), 0
        generator: Any = equipped(StressPlugin(), Bench(comparer, AimSettings(runs=2500)))
        for _ in range(2):
            made = list(generator.refine(problem, feedback(problem, comparer.survivors), random.Random(1), 60))
            assert not any(made)
            turns += len(made)
        return comparer.seen, turns

    (cheap, few), (costly, many) = search(0.001), search(0.2)
    assert many > 5 * few
    both = min(len(set(cheap)), len(set(costly)))
    assert list(dict.fromkeys(cheap))[:both] == list(dict.fromkeys(costly))[:both]


def test_finds_are_lazy_and_keep_to_the_budget() -> None:
    comparer = Comparing({"sum": total}, {f"not {n}": _but(n) for n in range(5)})
    problem = make_problem(*LISTS)
    generator: Any = equipped(StressPlugin(), Bench(comparer))
    made = generator.refine(problem, feedback(problem, comparer.survivors), random.Random(1), 2)
    assert comparer.runs == 0
    assert len([each for each in islice(made, 100) if each]) == 2


def _but(n: int) -> Any:
    return lambda data: b"wrong" if sum(numbers(data)) % 5 == n and len(numbers(data)) > 1 else total(data)
