"""Checktestdata grammars: the template and the bounds that they give, and what is left where they say more."""

import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from balancer.pipeline.generators.learn.grammar import Grammar, read_grammar
from balancer.pipeline.generators.learn.template import Count, LineNode, Repeat
from balancer.pipeline.generators.mutate import MutateGenerator
from balancer.problem import Checker, Origin, Problem, Proposal

CASES = """# test cases
INT(1, 100, t) NEWLINE
REP(t)
    INT(2, 2*10^5, n) SPACE INT(0, n - 1, k) NEWLINE
    REP(n, SPACE) INT(-10^9, 10^9, a) END NEWLINE
    REPI(i, n-1)
        INT(1, n, u[i]) SPACE INT(1, n, v[i]) NEWLINE
    END
END
EOF
"""


def test_a_grammar_gives_the_template_and_the_bounds() -> None:
    found = read_grammar(CASES)
    rows = Repeat(Count(1, -1), (LineNode((4, 5)),))
    assert found.nodes == (
        LineNode((0,)),
        Repeat(Count(0), (LineNode((1, 2)), LineNode((), 3, Count(1)), rows)),
    )
    assert [(bound.low, bound.high) for bound in found.bounds.values()] == [
        (1, 100),
        (2, 200_000),
        (0, None),
        (-(10**9), 10**9),
        (1, None),
        (1, None),
    ]
    assert found.bounds[2].high_by is not None
    assert found.bounds[2].high_by.of({"n": 7}) == 6


@pytest.mark.parametrize(
    ("text", "nodes"),
    [
        ("WHILE(!ISEOF) INT(0, 9) SPACE INT(0, 9) NEWLINE END", (Repeat(None, (LineNode((0, 1)),)),)),
        ('STRING("go") SPACE REGEX("[a-z]{1,9}", s) NEWLINE EOF', (LineNode((0, 1)),)),
        (
            "INT(1, 5, n) NEWLINE REP(n, NEWLINE) INT(0, 1) END NEWLINE",
            (LineNode((0,)), Repeat(Count(0), (LineNode((1,)),))),
        ),
        ("FLOAT(0, 1, x) NEWLINE", (LineNode((0,)),)),
        ("INT(1, 9, n) NEWLINE IF(n > 1) INT(0, 3) NEWLINE END", None),
        (
            "INT(2, 9, n) NEWLINE INT(0, 5) REP(n-1) SPACE INT(1, 7, a) END NEWLINE",
            (LineNode((0,)), LineNode((), 1, Count(0))),
        ),
        ("REP(3, SPACE) INT(0, 1) END NEWLINE", (LineNode((), 0, Count(None, 3)),)),
    ],
)
def test_what_is_understood(text: str, nodes: tuple[object, ...] | None) -> None:
    assert read_grammar(text).nodes == nodes


def test_bounds_are_kept_where_there_is_no_template() -> None:
    found = read_grammar("INT(1, 9, n) NEWLINE IF(n > 1) INT(0, 3) NEWLINE ELSE INT(4, 5) NEWLINE END")
    assert [(bound.low, bound.high) for bound in found.bounds.values()][:2] == [(1, 9), (0, 3)]


@given(st.text(max_size=100) | st.text('INTREPED(),0123456789 nm"[]#^-', max_size=80))
def test_any_text_is_read_without_harm(text: str) -> None:
    assert isinstance(read_grammar(text), Grammar)


def test_one_sample_and_a_grammar_are_enough() -> None:
    """The sample alone says nothing of n, of the list's length or of its values."""
    sample = Proposal(b"1\n2 1\n7 7\n1 2\n", Origin("data", ""), sample=True)
    what = Problem("p", "p", Path(), None, None, (sample,), (), Checker(), (), grammars={"v/a.ctd": CASES})
    made = [proposal.data for proposal in MutateGenerator().propose(what, random.Random(1), 60)]
    valid = [data for data in made if _is_valid(data)]
    assert len(valid) >= 55
    assert max(len(data) for data in valid) > 10**6


def _is_valid(data: bytes) -> bool:
    lines = iter(data.decode().split("\n"))
    (cases,) = map(int, next(lines).split())
    fits = 1 <= cases <= 100
    for _ in range(cases):
        n, k = map(int, next(lines).split())
        values = list(map(int, next(lines).split()))
        edges = [tuple(map(int, next(lines).split())) for _ in range(n - 1)]
        fits &= 2 <= n <= 200_000 and 0 <= k < n and len(values) == n
        fits &= all(-(10**9) <= value <= 10**9 for value in values)
        fits &= all(1 <= end <= n for edge in edges for end in edge)
    return fits and list(lines) == [""]
