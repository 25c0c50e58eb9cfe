"""Inputs drawn from checktestdata grammars: what the grammar's own program says of them."""

import random
import subprocess
import sys
from dataclasses import replace
from typing import Any

import pytest
from checktestdata import lib
from checktestdata.parser import parse
from checktestdata.tokenizer import tokenize

from balancer.pipeline.generators.drawing.drawer import DrawnInput, InputDrawer, drawing_program, read_drawn
from balancer.pipeline.generators.drawing.grammar_draws import Grammar
from balancer.pipeline.generators.grammar import GrammarPlugin
from balancer.pipeline.packages.grammars import checktestdata_program, grammar_in
from balancer.pipeline.proposing import UnusedInput, ValidatorFeedback
from balancer.program import Execution, Program, Status
from tests.unit.pipeline.knowing import problem as problem_of

GRAMMARS = {
    "grid": b'INT(1,9,h) SPACE INT(1,9,w) NEWLINE REP(h) REP(w) REGEX("[.X]") END NEWLINE END',
    "pairs": b'INT(0,9,n) NEWLINE REPI(i,n) INT(1,13,x[i]) SPACE REGEX("C|D|H|S",y[i]) NEWLINE END'
    b" IF(n>0) ASSERT(UNIQUE(x,y)) END",
    "increasing": b"INT(1,500,n) NEWLINE SET(last = 0) REP(n, SPACE) INT(last+1,600,cur) SET(last = cur) END NEWLINE",
    "lengths": b'INT(1,1000,h) SPACE INT(1,1000,w) NEWLINE ASSERT(h*w<=1000) REP(h) REGEX("[A-Z]+", s) NEWLINE'
    b" ASSERT(STRLEN(s)==w) END",
    "names": b'INT(1,10,n) NEWLINE REPI(i, n) REGEX("[a-z]([a-z ]{0,7}[a-z])?", name[i]) NEWLINE END'
    b" ASSERT(UNIQUE(name))",
    "first": b"INT(0,10,n) NEWLINE REPI(i, n+1, SPACE) INT(-9, 9, c) IF (i == 0 && n > 0) ASSERT(c != 0) END END"
    b" NEWLINE",
    "matrix": b'INT(1,5,n) NEWLINE REPI(i,n) REPI(j,n,SPACE) IF(i == j) STRING("0") ELSE IF(i < j) INT(1,99,d[i,j])'
    b" ELSE INT(d[j,i],d[j,i]) END END END NEWLINE END",
    "floats": b"INT(1,9,n) NEWLINE REP(n) FLOATP(0,1,0,3) SPACE FLOAT(-2.5,2.5) NEWLINE END EOF",
    "edges": b"INT(2,100,n) NEWLINE REP(2*n-2) INT(1,n,a) SPACE INT(a+1,n) NEWLINE END",
}


def accepts(grammar: bytes, data: bytes) -> bool:
    """Return what the library says of an input."""
    parser = parse(tokenize(grammar))
    lib._reader, lib._constraints = lib._Reader(data), lib._Constraints(None)
    names = {**parser.python_globals(), "init_lib": int, "finalize_lib": int}
    try:
        exec(parser.python_code(), names)
    except lib.ValidationError:
        return False
    return True


@pytest.mark.parametrize("name", GRAMMARS)
def test_what_is_drawn_is_valid(name):
    grammar = Grammar(GRAMMARS[name])
    drawn = [grammar.draw(seed, size)[0] for size in ("tiny", "small", "medium", "large") for seed in range(3)]
    assert len(set(drawn)) > 6
    assert all(accepts(GRAMMARS[name], data) for data in drawn)


def test_the_greatest_sizes_are_drawn_and_a_seed_repeats_them():
    grammar = Grammar(GRAMMARS["increasing"])
    drawn = [grammar.draw(seed, "large")[0] for seed in range(6)]
    assert sum(data.startswith(b"500\n") for data in drawn) >= 2
    assert drawn == [Grammar(GRAMMARS["increasing"]).draw(seed, "large")[0] for seed in range(6)]


def test_a_grammar_that_looks_at_what_comes_next_is_not_drawn_from():
    with pytest.raises(ValueError, match="looks at what comes next"):
        Grammar(b"WHILE(!ISEOF) INT(1,9) NEWLINE END")


def test_the_program_draws_what_is_asked_for():
    program = drawing_program(checktestdata_program("a.ctd", GRAMMARS["grid"]))
    assert program is not None
    ran = subprocess.run(
        [sys.executable, "-c", program.source], input=b"1 tiny\n2 large\n", capture_output=True, check=True
    )
    grammar = Grammar(GRAMMARS["grid"])
    assert [each and each.data for each in read_drawn(ran.stdout)] == [
        grammar.draw(1, "tiny")[0],
        grammar.draw(2, "large")[0],
    ]


def test_cut_output_gives_the_inputs_before_the_cut():
    assert read_drawn(b"2 tiny: a\n1\n\n-1 no\n\n3 large: b\n12\n\n") == [
        DrawnInput(b"1\n", "tiny: a"),
        None,
        DrawnInput(b"12\n", "large: b"),
    ]
    assert read_drawn(b"2 tiny: a\n1\n\n5 large\n123") == [DrawnInput(b"1\n", "tiny: a")]
    assert read_drawn(b"nonsense\n") == []


class InProcess:
    """A toolbox that draws in this process."""

    languages = frozenset({"python"})

    def __init__(self, grammar: bytes = b"") -> None:
        self._grammar = grammar or PLAIN

    def run(self, program: Program, stdin: bytes = b"") -> tuple[Execution | None, str]:
        grammar = Grammar(self._grammar)
        drawn = [
            grammar.draw(int(seed), size) for seed, size in (line.split() for line in stdin.decode().split("\n")[:-1])
        ]
        out = b"".join(b"%d %s\n%s\n" % (len(data), detail.encode(), data) for data, detail in drawn)
        return Execution(Status.FINISHED, out, exit_code=0), ""


PLAIN = b"INT(1,30,n) NEWLINE REP(n, SPACE) INT(1,1000) END NEWLINE"


def test_modes_that_the_other_validators_accept_come_again():
    problem = replace(problem_of(b"1\n5\n"), input_validators=(checktestdata_program("a.ctd", PLAIN),))
    toolbox: Any = InProcess()
    generator: Any = GrammarPlugin().equip(toolbox)
    assert generator.suits(problem)
    other: Any = GrammarPlugin().equip(toolbox)
    assert not other.suits(replace(problem, input_validators=()))

    def is_valid(data: bytes) -> bool:
        values = data.split()[1:]
        return len(values) > 1 and len(set(values)) == 1

    first = list(generator.propose(problem, random.Random(1), 60))
    assert {each.origin.detail.split(":")[0] for each in first} == {"tiny", "small", "medium", "large"}
    heard = [UnusedInput(each.origin, each.data, "") for each in first]
    valid = tuple(each for each in heard if is_valid(each.data))
    refused = tuple(each for each in heard if not is_valid(each.data))
    again = list(generator.ask_again(problem, ValidatorFeedback(valid, refused), random.Random(2), 60))
    assert sum(is_valid(each.data) for each in again) > 2 * len(valid)


def test_a_program_that_draws_nothing_is_left_out_with_a_note():
    notes: list[str] = []

    class Broken(InProcess):
        def run(self, program: Program, stdin: bytes = b"") -> tuple[Execution | None, str]:
            return Execution(Status.FINISHED, b"", b"the grammar is wrong\n", exit_code=2), ""

        def note(self, line: str) -> None:
            notes.append(line)

    toolbox: Any = Broken()
    problem = replace(problem_of(b"1\n5\n"), input_validators=(checktestdata_program("a.ctd", PLAIN),))
    drawer = InputDrawer(toolbox, problem)
    assert list(drawer.stream(("tiny",), random.Random(1), 4)) == []
    assert list(drawer.stream(("tiny",), random.Random(1), 4)) == []
    assert not drawer.able
    assert notes == ["a.ctd (drawing) draws no inputs: exit code 2: the grammar is wrong"]


def test_words_of_the_samples_are_drawn_where_they_fit():
    program = drawing_program(checktestdata_program("a.ctd", GRAMMARS["names"]), [b"1\npea soup\n", b"1\nPEAS\n"])
    assert program is not None
    assert "[b'PEAS', b'pea', b'pea soup', b'soup']" in program.source
    grammar = Grammar(GRAMMARS["names"], [b"PEAS", b"pea soup"])
    drawn = [grammar.draw(10**4 * plan, "small")[0] for plan in range(12)]
    assert any(b"pea soup" in data for data in drawn)
    assert all(accepts(GRAMMARS["names"], data) for data in drawn)


@pytest.mark.parametrize(
    "line", ["GRAMMAR = re.compile('x')", 'GRAMMAR = """', "GRAMMAR = 5", "GRAMMAR = b'INT(1, 5)'", ""]
)
def test_a_validator_of_a_package_that_has_such_a_line_is_no_grammar(line):
    """It ended the whole run, at the same package on every resume."""
    assert grammar_in(checktestdata_program("a.ctd", b"EOF")) == b"EOF"
    assert grammar_in(Program("python", f"import re\n{line}\n")) is None
    assert drawing_program(Program("python", f"import re\n{line}\n")) is None
