"""Templates: what is found in inputs of many formats, and that inputs are read and written back unchanged."""

import random
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from balancer.pipeline.generators.draw.fill import Fill
from balancer.pipeline.generators.draw.styles import Size, Style
from balancer.pipeline.generators.draw.values import Where
from balancer.pipeline.generators.learn.infer import infer
from balancer.pipeline.generators.learn.knowledge import knowledge_of
from balancer.pipeline.generators.learn.rules import RuleKind
from balancer.pipeline.generators.learn.template import (
    Choice,
    Count,
    LineNode,
    Mismatch,
    Node,
    Repeat,
    fields_of,
    read,
    tokenize,
)
from balancer.pipeline.generators.write.build import build
from tests.unit.pipeline.knowing import known, problem


def lines(text: str) -> list[list[str]]:
    found = tokenize(text.encode())
    assert found is not None
    return found


# One row: a name, known inputs, and the template they share.
FORMATS: list[tuple[str, list[str], tuple[Node, ...]]] = [
    ("n, then n numbers", ["3\n1 2 3\n", "2\n5 7\n"], (LineNode((0,)), LineNode((), 1, Count(0)))),
    ("n, then n lines", ["2\n1 a\n2 b\n", "1\n3 c\n"], (LineNode((0,)), Repeat(Count(0), (LineNode((1, 2)),)))),
    ("a tree", ["3\n1 2\n2 3\n", "4\n1 2\n1 3\n1 4\n"], (LineNode((0,)), Repeat(Count(0, -1), (LineNode((1, 2)),)))),
    (
        "rows that tell their own length",
        ["2\n3 1 2 3\n1 9\n", "3\n0\n1 2\n2 5 6\n"],
        (LineNode((0,)), Repeat(Count(0), (LineNode((1,), 2, Count(1)),))),
    ),
    (
        "points and edges, all of one width",
        ["4 5\n0 0\n3 0\n0 3\n1 1\n1 2\n1 3\n1 4\n2 3\n2 4\n", "3 3\n5 1\n2 8\n0 7\n1 2\n2 3\n1 3\n"],
        (LineNode((0, 1)), Repeat(Count(0), (LineNode((2, 3)),)), Repeat(Count(1), (LineNode((4, 5)),))),
    ),
    (
        "test cases, the last one empty",
        ["2\n3 2\n1 2\n2 3\n2 1\n1 2\n", "1\n4 3\n1 2\n2 3\n3 4\n", "1\n1 0\n"],
        (LineNode((0,)), Repeat(Count(0), (LineNode((1, 2)), Repeat(Count(2), (LineNode((3, 4)),))))),
    ),
    (
        "commands",
        ["5\npush 3\npop\npush 4\npush 1\npop\n", "1\npush 2\n", "3\npush 2\npop\npush 3\n"],
        (LineNode((0,)), Repeat(Count(0), (Choice(1, (("pop", ()), ("push", (2,)))),))),
    ),
    ("lines up to the end", ["1 2\n3 4\n", "5 6\n", "7 8\n9 9\n1 1\n"], (Repeat(None, (LineNode((0, 1)),)),)),
    (
        "words, then codes, at a first glance pairs of lines",
        ["5 3\nbanana\ncar\nsand\nunchanged\ncounter\nRRR\nDNA\nSND\n"],
        (LineNode((0, 1)), Repeat(Count(0), (LineNode((2,)),)), Repeat(Count(1), (LineNode((3,)),))),
    ),
    (
        "lists with their lengths, which are no keywords",
        ["1\n4 +a +b +c -d\n", "3\n3 +e +f -g\n3 +e -f +g\n3 -e +f +g\n"],
        (LineNode((0,)), Repeat(Count(0), (LineNode((1,), 2, Count(1)),))),
    ),
    (
        "lines with a letter in front, which is no command",
        ["2\nE 0 0 2 1 2\nS 3 2 1 1 3\n", "3\nE 0 0 1 1 1\nS 0 2 1 1 1\nN 5 2 1 3 1\n", "1\nS 3 2 1 4 3\n"],
        (LineNode((0,)), Repeat(Count(0), (LineNode((1, 2, 3, 4, 5, 6)),))),
    ),
    ("words of any number", ["hello world\n", "a b c\n"], (LineNode((), 0),)),
]


@pytest.mark.parametrize(("inputs", "template"), [row[1:] for row in FORMATS], ids=[row[0] for row in FORMATS])
def test_the_template_of(inputs, template):
    assert infer([lines(text) for text in inputs]) == template


@pytest.mark.parametrize("odd", [b"odd one\n\nout of all\n7 7\n", b"odd one out\n" * 1000])
def test_inputs_that_do_not_fit_are_left_aside(odd):
    """The smallest inputs decide; one that has another shape spoils nothing, be it small or large."""
    found = known(b"3\n1 2 3\n", odd, b"2\n5 7\n")
    assert found.nodes == (LineNode((0,)), LineNode((), 1, Count(0)))
    assert [instance[1, ()] for instance in found.instances] == [["5", "7"], ["1", "2", "3"]]


_TIED = b"2 2\n1 2\n1 1\n"  # either number may be the count of the lines


def test_valid_inputs_tell_which_template_is_right_and_what_was_chance():
    given = problem(_TIED)
    assert knowledge_of(given).nodes == (LineNode((0, 1)), Repeat(Count(0), (LineNode((2, 3)),)))
    found = knowledge_of(given, [b"9 1\n4 4\n", b"1 2\n1 1\n1 1\n", b"not one of them\n"])
    assert found.nodes == (LineNode((0, 1)), Repeat(Count(1), (LineNode((2, 3)),)))
    assert len(found.instances) == 1  # what is made up is no start for changes
    few = knowledge_of(problem(b"1\n7 7\n"), [b"1\n7 5\n", b"2\n7 5 1\n", b"3\n1 2 3 4\n", b"5\n1 2 3 4 5 6\n"])
    assert few.nodes == (LineNode((0,)), LineNode((1,), 2, Count(0))), "it is searched in what it does not read"
    given = problem(b"3\n1 2 3\n", b"4\n2 5 6 9\n")
    kinds = [{rule.kind for rule in knowledge_of(given, more).beliefs} for more in ([], [b"3\n2 1 1\n"])]
    assert kinds[0] - kinds[1] >= {RuleKind.ORDER, RuleKind.DISTINCT}
    assert infer([]) is None
    assert knowledge_of(problem(b"", b"\xff\x00")) is None


@pytest.mark.parametrize(
    ("nodes", "text"),
    [
        ((LineNode((0, 1)),), "1\n"),
        ((LineNode((0,)),), "1\n2\n"),
        ((LineNode((0,)), LineNode((), 1, Count(0))), "x\n1\n"),
        ((LineNode((0,)), LineNode((), 1, Count(0))), "-1\n\n"),
        ((LineNode((0,)), Repeat(Count(0), (LineNode((1,)),))), "3\n1\n2\n"),
        ((LineNode((0,)), Repeat(Count(0), (LineNode((1,)), LineNode((2,))))), "999999999\n1\n2\n"),
        ((Repeat(None, (Repeat(Count(None, 0), (LineNode((0,)),)),)),), "1\n"),
        ((Repeat(None, (Choice(0, (("a", ()),)),)),), "b\n"),
    ],
)
def test_an_input_of_another_shape_is_a_mismatch(nodes, text):
    with pytest.raises(Mismatch):
        read(nodes, lines(text))


# -- properties ----------------------------------------------------------------------------------------

tokens = st.sampled_from(["0", "1", "2", "3", "10", "-4", "a", "xyz", "0.50", "#", "1e5", "007", "\u00e9"])
texts = st.lists(st.lists(tokens, max_size=4), max_size=6).map(lambda rows: [list(row) for row in rows])


@given(st.lists(texts, min_size=1, max_size=3))
def test_a_template_reads_every_input_it_was_found_in(inputs):
    nodes = infer(inputs)
    if nodes is not None:
        numbers = list(fields_of(nodes))
        assert len(set(numbers)) == len(numbers)
        for found in inputs:
            read(nodes, found)


def _array(rng: random.Random) -> str:
    n = rng.randint(1, 5)
    return f"{n} {rng.randint(1, 9)}\n{' '.join(str(rng.randint(-9, 99)) for _ in range(n))}\n"


def _grid(rng: random.Random) -> str:
    n, m = rng.randint(1, 4), rng.randint(1, 5)
    return f"{n} {m}\n" + "".join("".join(rng.choice(".#") for _ in range(m)) + "\n" for _ in range(n))


def _tree(rng: random.Random) -> str:
    n = rng.randint(2, 6)
    return f"{n}\n" + "".join(f"{rng.randint(1, node - 1)} {node}\n" for node in range(2, n + 1))


def _cases(rng: random.Random) -> str:
    t = rng.randint(1, 3)
    return f"{t}\n" + "".join(_array(rng) for _ in range(t))


def _permutation(rng: random.Random) -> str:
    n = rng.randint(1, 6)
    return f"{n}\n{' '.join(map(str, rng.sample(range(1, n + 1), n)))}\n"


def _commands(rng: random.Random) -> str:
    n = rng.randint(2, 7)
    return f"{n}\n" + "".join(rng.choice(("pop\n", f"push {rng.randint(0, 9)}\n")) for _ in range(n))


SETTERS: list[Callable[[random.Random], str]] = [_grid, _tree, _cases, _permutation, _commands]
AS_SEEN = Style("as seen", Size(1, 6), (Where.SEEN,))


def four(setter: Callable[[random.Random], str], seed: int) -> list[bytes]:
    rng = random.Random(seed)
    return [setter(rng).encode() for _ in range(4)]


@pytest.mark.sampled(2)
@pytest.mark.parametrize("setter", SETTERS, ids=lambda setter: setter.__name__)
@given(seed=st.integers(0, 10**6))
def test_a_known_input_is_written_back_as_it_was(setter, seed):
    """What is given wholly is kept: no mending touches an input that keeps to all that was seen."""
    inputs = four(setter, seed)
    found = known(*inputs)
    written = [build(found, instance, Fill(found, AS_SEEN, random.Random(seed))) for instance in found.instances]
    assert sorted(written) == sorted(inputs)


@pytest.mark.sampled(1)
@pytest.mark.parametrize("setter", SETTERS, ids=lambda setter: setter.__name__)
@given(seed=st.integers(0, 10**6), low=st.integers(0, 30), extra=st.integers(0, 30))
def test_a_made_up_input_has_the_template(setter, seed, low, extra):
    """Counts are true by construction: whatever is written can be read with the same template."""
    found = known(*four(setter, seed))
    style = Style("any", Size(low, low + extra), tuple(Where))
    written = tokenize(build(found, {}, Fill(found, style, random.Random(seed))))
    assert written is not None
    read(found.nodes, written)
