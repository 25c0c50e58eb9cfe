"""What a statement says of bounds, in TeX, Markdown and plain words, and what is made of it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from balancer.pipeline.generators.learn.rules import Rule, RuleKind
from balancer.pipeline.generators.learn.statement import read_statement
from balancer.pipeline.generators.learn.template import Count
from tests.unit.pipeline.knowing import known


def bounds(text: str) -> dict[str, tuple[int | None, int | None]]:
    return {found.name: (found.low, found.high) for found in read_statement(text)}


@pytest.mark.parametrize(
    "text",
    [
        r"$1 \leq n \leq 2 \cdot 10^5$",
        r"$1 \le n \le 2\times10^{5}$",
        r"\(1\leqslant n\leqslant 200\,000\)",
        "$1 ≤ n ≤ 200{,}000$",
        "1 <= n <= 200,000",
        "1 ≤ n ≤ 2·10⁵",
        "1 &le; *n* &le; 2 &middot; 10<sup>5</sup>",
        r"$0 < n \le 2 \cdot 10^5$",
        r"$0 < n < 200001$",
        r"$2 \cdot 10^5 \ge n \geq 1$",
        "`1 <= n <= 2 * 10**5`",
        r"\newcommand{\maxn}{2\cdot 10^5} ... a line with $n$ ($1 \leq n \leq \maxn$)",
        "an integer $n$ between $1$ and $200\\,000$ (inclusive)",
        "a whole number n from 1 to 200000",
        "a positive integer $n$, at most $2 \\cdot 10^5$",
        "un entier $n$ compris entre $1$ et $2 \\cdot 10^5$",
        "$n \\ge 1$, $n < 2 \\cdot 10^5 + 1$",
    ],
)
def test_one_bound_in_many_notations(text):
    assert bounds(text)["n"] == (1, 200_000)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (r"$1 \leq n, m \leq 1000$", {"n": (1, 1000), "m": (1, 1000)}),
        (r"$-10^9 \leq x_i, y_i \leq 10^9$", {"x": (-(10**9), 10**9), "y": (-(10**9), 10**9)}),
        (r"$n \leq 50$", {"n": (None, 50)}),
        (r"$1 \leq |s| \leq 100$", {"|s|": (1, 100)}),
        (r"$1 \leq a_{i,j} < 2^{31}$", {"a": (1, 2**31 - 1)}),
        (r"$1 \leq l \leq r \leq 9$", {"l": (1, None), "r": (None, 9)}),
        (r"$n - 1 \le m \le 9$", {"n": (None, None), "m": (None, 9)}),
        (r"$0 \le p \le m \cdot k$", {"p": (0, None), "m": (None, None), "k": (None, None)}),
        (r"$1 \leq a,b \leq n\text{ and }a \neq b$", {"a": (1, None), "b": (1, None), "n": (None, None)}),
    ],
)
def test_chains(text, found):
    assert bounds(text) == found


def test_names_come_in_the_order_of_the_input_section():
    text = (
        "Given $k$ and $x$, find $y$.\n\n## Input\n\nThe first line has two integers $n$ and $m$. "
        "The next line has $n$ integers $a_i$.\n\n## Output\n\nPrint $z$.\n\n"
        "## Constraints\n\n- $1 \\le a_i \\le 9$\n- $2 \\le m \\le 8$\n- $3 \\le n \\le 7$\n"
    )
    assert [found.name for found in read_statement(text)] == ["n", "m", "a"]
    assert [found.low for found in read_statement(text)] == [3, 2, 1]


def test_an_index_is_a_name_where_it_is_bounded():
    text = (
        r"\begin{Input} \item One line with an integer $n$ ($1 \le n \le 9$), the number of frogs."
        r"\item One line with $n$ integers $x_1,\dots,x_n$ ($1 \le x_i \le 99$), the pad on which the $i$th frog sits."
        r"\item One line with an integer $q$ ($1 \le q \le 5$). Then come queries."
        r"\item $q$ lines, each with an integer $i$ ($1 \le i \le n$): the $i$th frog jumps. \end{Input}"
    )
    assert [found.name for found in read_statement(text)] == ["n", "x", "q", "i"]


@given(st.text(max_size=200) | st.text("$\\{}^_<>=|() 0123456789nm,.", max_size=60))
def test_any_text_is_read_without_harm(text):
    assert isinstance(read_statement(text), tuple)


# -- together with known inputs ------------------------------------------------------------------------


def test_fields_get_the_bounds_of_their_names():
    statement = (
        r"\begin{Input} a line with $n$ and $t$ ($1 \le n \le 5 \cdot 10^5$, $1 \le t \le 10^9$), then $n$ lines with "
        r"$p_i$ and $c_i$ ($2 \le p_i, c_i \le 77$) \end{Input}"
    )
    found = known("2 14\n3 4\n2 2\n", "3 5\n3 2\n4 4\n2 9\n", statement=statement)
    assert [found.ranges[number].highs for number in range(4)] == [(500_000,), (10**9,), (77,), (77,)]
    assert [found.ranges[number].low for number in range(4)] == [1, 1, 2, 2]


def test_a_name_that_another_one_bounds_keeps_to_it():
    statement = r"$n$ and $k$ ($2 \le k < n \le 20$), then $n$ values $x$ ($1 \le x \le 9$, $x \le k$)"
    found = known("3 2\n1 2 2\n", "5 4\n1 4 2 1 3\n", statement=statement)
    assert [found.ranges[number].bound for number in range(3)] == [None, Count(0, -1), Count(1)]
    rules = [Rule(RuleKind.BOUND, (1, 0), -1), Rule(RuleKind.BOUND, (2, 1), 0)]
    assert [found.beliefs[rule] for rule in rules] == [1.0, 1.0]
