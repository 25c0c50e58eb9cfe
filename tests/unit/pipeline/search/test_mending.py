"""Inputs that a validator refuses, changed until it accepts them, and what its comparisons tell."""

import contextlib
import io
import json
import random
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from balancer.pipeline.generators.mend import MendPlugin
from balancer.pipeline.generators.search.input_mender import mending_program
from balancer.pipeline.generators.search.mending import change, mend
from balancer.pipeline.generators.search.refusal_words import change_by_words, line_of, mend_by_words
from balancer.pipeline.generators.search.traced_validator import Ending, TracedValidator
from balancer.pipeline.proposing import UnusedInput, ValidatorFeedback
from balancer.problem import Origin, Problem
from balancer.program import Execution, Program, Status
from tests.unit.pipeline.knowing import problem as problem_of
from tests.unit.pipeline.search.relations import CAUSES, Cause


@pytest.fixture(autouse=True)
def _signal() -> Iterator[None]:
    """Let nothing of a test end the process when the CPU time of a validator is over."""
    before = signal.signal(signal.SIGPROF, lambda *_: None)
    yield
    signal.signal(signal.SIGPROF, before)


def printed(source: str, text: str) -> str | None:
    """Return what a program prints; None if it crashes."""
    out, before = io.StringIO(), sys.stdin
    sys.stdin = io.StringIO(text)
    try:
        with contextlib.redirect_stdout(out):
            exec(source, {"__name__": "__main__"})
    except Exception:
        return None
    finally:
        sys.stdin = before
    return out.getvalue()


class InProcess:
    """A toolbox that runs the program of `mend` in this process."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []

    def run(self, program: Program, stdin: bytes = b"") -> tuple[Execution | None, str]:
        self.asked.append(json.loads(stdin))
        before, out = sys.stdin, io.StringIO()
        sys.stdin = io.TextIOWrapper(io.BytesIO(stdin))
        try:
            with contextlib.redirect_stdout(out):
                exec(program.source, {"__name__": "__main__"})
        finally:
            sys.stdin = before
        return Execution(Status.FINISHED, out.getvalue().encode(), exit_code=0), ""


def problem(cause: Cause) -> Problem:
    return problem_of(*cause.samples, validator=cause.validator)


def mended(cause: Cause, count: int, seed: int = 1) -> list[str]:
    generator = MendPlugin().equip(InProcess())  # type: ignore[arg-type]
    return [each.data.decode() for each in generator.propose(problem(cause), random.Random(seed), count)]


@pytest.mark.parametrize("name", CAUSES)
def test_inputs_with_a_relation_that_no_sample_tells_are_valid_and_kill(name: str) -> None:
    cause = CAUSES[name]
    validator = TracedValidator(cause.validator)
    for text in cause.samples:
        right = printed(cause.accepted, text)
        assert right is not None
        assert right == printed(cause.wrong, text)
    found = mended(cause, 24)
    assert len(found) == 24
    assert all(validator.run(text.encode()).code == 42 for text in found)
    assert any(printed(cause.accepted, text) != printed(cause.wrong, text) for text in found)


def test_the_same_seed_mends_alike() -> None:
    cause = CAUSES["derived count"]
    assert mended(cause, 3) == mended(cause, 3)
    assert mended(cause, 3) != mended(cause, 3, seed=2)


def test_refused_inputs_are_mended_first() -> None:
    cause = CAUSES["derived count"]
    toolbox = InProcess()
    generator: Any = MendPlugin().equip(toolbox)  # type: ignore[arg-type]
    refused = b"3 1\n4 5\n5 6\n6 7\n"
    heard = ValidatorFeedback((), (UnusedInput(Origin("mutate", "x"), refused, "m is wrong, should be 3"),))
    first = next(iter(generator.ask_again(problem(cause), heard, random.Random(1), 5)))
    assert toolbox.asked[0]["candidates"][0] == refused.decode()
    assert TracedValidator(cause.validator).run(first.data).code == 42
    assert first.origin.generator == "mend"


def test_a_program_alone_mends_in_the_sandbox() -> None:
    cause = CAUSES["alternation"]
    toolbox = InProcess()
    list(MendPlugin().equip(toolbox).propose(problem(cause), random.Random(1), 2))  # type: ignore[arg-type]
    asked = json.dumps(toolbox.asked[0]).encode()
    run = subprocess.run([sys.executable, "-I", "-c", mending_program()], input=asked, capture_output=True, check=True)
    assert [json.loads(line)[0] for line in run.stdout.splitlines()] == mended(cause, 2)


@pytest.mark.parametrize(
    "found",
    [
        problem_of("1\n"),  # no validator
        problem_of("1\n", validator="import sys; sys.exit(43)"),  # refuses what is known
        replace(problem_of("1\n"), input_validators=(Program("python", "exit(42)", "input_validators/a.ctd"),)),
        problem_of("1\n", validator="this is no Python"),
        problem_of("1\n", validator="import os, sys; os.abort if 0 else sys.exit()  # accepts all with 0"),
    ],
)
def test_without_a_validator_that_works_nothing_is_mended(found: Problem) -> None:
    generator = MendPlugin().equip(InProcess())  # type: ignore[arg-type]
    with contextlib.suppress(SyntaxError):
        assert list(generator.propose(found, random.Random(1), 5)) == []


def test_where_most_inputs_are_valid_nothing_is_mended() -> None:
    easy = problem_of("3\n", "5\n", validator="assert 1 <= int(input()) <= 1000\nexit(42)")
    toolbox = InProcess()
    generator: Any = MendPlugin().equip(toolbox)  # type: ignore[arg-type]
    assert list(generator.propose(easy, random.Random(1), 5)) == []
    assert len(toolbox.asked) == 2
    valid = tuple(UnusedInput(Origin("mutate", "x"), b"%d\n" % n, "") for n in range(6))
    assert list(generator.ask_again(easy, ValidatorFeedback(valid, valid[:1]), random.Random(1), 5)) == []
    assert len(toolbox.asked) == 2


# -- what is recorded ------------------------------------------------------------------------------------


def ended(source: str, text: str = "") -> Ending:
    return TracedValidator(source).run(text.encode())


@pytest.mark.parametrize(
    ("source", "code", "events"),
    [
        ("assert 3 < 2", 1, [("Lt", 3, 2, False)]),
        ("exit(42 if 1 <= 2 < 3 else 43)", 42, [("LtE", 1, 2, True), ("Lt", 2, 3, True)]),
        ("exit(1 <= 0 <= 1 / 0)", 0, [("LtE", 1, 0, False)]),  # the last one is not evaluated
        ("import sys\nsys.exit(3 in (1, 2))", 0, [("In", 3, (1, 2), False)]),
        ("if (n := 4) == 5: pass", 0, []),
        ("exit('no')", 1, []),
        ("quit()", 0, []),
        ("1 / 0", 1, []),
    ],
)
def test_comparisons_are_recorded_and_decide_as_before(source: str, code: int, events: list[Any]) -> None:
    found = ended(source)
    assert (found.code, found.events, found.made) == (code, events, len(events))


@pytest.mark.parametrize("call", ["re.match('b+', x)", "re.compile('b+').match(x)", "re.compile(r'b+').fullmatch(x)"])
def test_matches_are_recorded(call: str) -> None:
    ((name, text, pattern, said),) = ended(f"import re\nx = 'abc'\nassert {call}").events
    assert (text, pattern, said) == ("abc", re.compile("b+"), False)
    assert name in ("match", "fullmatch")


@pytest.mark.parametrize(
    ("read", "at"),
    [
        ("input()", 4),
        ("sys.stdin.readline()", 4),
        ("sys.stdin.read()", 7),
        ("sys.stdin.buffer.readline()", 4),
        ("open(0).readline()", 4),
        ("next(sys.stdin)", 4),
        ("sys.stdin.readlines()", 7),
    ],
)
def test_what_was_read_is_known(read: str, at: int) -> None:
    assert ended(f"import sys\n{read}", "1 2\n3 4") == Ending(0, [], 0, at)


@pytest.mark.parametrize(
    ("event", "wanted"),
    [
        (("LtE", 7, 3, False), {"1", "2", "3", "-2", "-17"}),
        (("Eq", 7, 4, False), {"4"}),
        (("In", 7, {5, 6}, False), {"5", "6"}),
        (("match", "7", re.compile("[4-5]"), False), {"4", "5"}),
    ],
)
def test_the_comparison_that_failed_tells_what_a_token_becomes(event: Any, wanted: set[str]) -> None:
    ending = Ending(1, [event], 1, 3)
    made = [change("2 7\n", ending, ["4 5\n", "9 9\n"], random.Random(seed)) for seed in range(200)]
    become = [text.split()[1] for text in made if text.startswith("2 ") and len(text.split()) == 2]
    told = sum(each in wanted for each in become)
    assert told > 0.4 * len(become)


def test_an_input_that_is_valid_already_stays() -> None:
    validator = TracedValidator("assert int(input()) < 5\nexit(42)")
    assert mend(validator, "4\n", 42, ["1\n"], random.Random(1)) == ("4\n", 0)


# -- what a message tells --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "message", "wanted"),
    [
        ("4 9\n1\n", "m is wrong, should be 5", {"4 5\n1\n", "5 9\n1\n"}),
        ("2\n1 2\n7 1\n", "line 3: 7 is not in [5, 6]", {"2\n1 2\n5 1\n", "2\n1 2\n6 1\n"}),
        ("100001\n", "Integer 100001 out of range [100000, 100001)", {"100000\n"}),
        ("3\n4\n", "expected 4 lines, got 3", {"4\n4\n", "3\n3\n"}),
    ],
)
def test_a_message_tells_what_a_number_becomes(text: str, message: str, wanted: set[str]) -> None:
    made = [change_by_words(text, message, [text], random.Random(seed)) for seed in range(100)]
    assert sum(each in wanted for each in made) > 50


@pytest.mark.parametrize(
    ("message", "line"),
    [("line 12: x", 12), ("x (stdin, line 3)", 3), ("x at 4:7", 4), ("Line: 5", 5), ("no number 7", None)],
)
def test_the_line_of_a_message_is_known(message: str, line: int | None) -> None:
    assert line_of(message) == line


def test_what_only_says_why_it_refuses_is_answered_too() -> None:
    def refusal(data: bytes) -> str:
        size, *rows = (line.split() for line in data.decode().splitlines())
        if size != [str(len(rows))]:
            return f"{size} is wrong, should be {len(rows)}"
        return next(
            (f"line {at}: {row[0]} is not in [3, 6]" for at, row in enumerate(rows, 2) if row[0] not in "3456"), ""
        )

    texts = ["2\n3\n4\n5\n", "3\n7\n8\n9\n", "1\n5\n"]
    found = mend_by_words(lambda inputs: [refusal(data) for data in inputs], texts, ["1\n3\n"], random.Random(1))
    assert [len(text.split("\n")) for text, _ in found] == [5, 5]
    assert not any(refusal(text.encode()) for text, _ in found)
    assert all(changes >= 1 for _, changes in found)


def test_nothing_is_made_of_inputs_of_which_nothing_is_known() -> None:
    said = ["", "", "", "", "no"]
    assert mend_by_words(lambda inputs: said, [str(number) for number in range(5)], ["2\n"], random.Random(1)) == []
    assert mend_by_words(lambda inputs: [None for _ in inputs], ["1\n"], ["2\n"], random.Random(1)) == []
