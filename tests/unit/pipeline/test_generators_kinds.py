"""Lines of several kinds, such as "1 x" and "2 y": each has its own range, and its own values that come once."""

import random
from dataclasses import replace
from itertools import islice, repeat

import pytest

from balancer.pipeline.generators.draw.styles import Size, Style
from balancer.pipeline.generators.draw.values import Where
from balancer.pipeline.generators.learn.knowledge import distinct_rule
from balancer.pipeline.generators.learn.refusals import Refusal, learn_from_refusals
from balancer.pipeline.generators.learn.rules import Rule, RuleKind
from balancer.pipeline.generators.learn.statement import kinds_in, read_statement
from balancer.pipeline.generators.learn.template import Choice, Repeat
from balancer.pipeline.generators.write.build import build_styled
from tests.unit.pipeline.knowing import known, problem

# Edges, then queries: "1 x" deletes edge x, never twice; "2 y" asks about node y.
SAMPLE = "3 4\n1 2\n2 3\n1 2\n3 3\n7\n2 2\n2 3\n1 4\n2 3\n1 1\n1 3\n2 3\n"
STATEMENT = r"""
\section*{Input}
Two integers $N$ and $M$ ($1 \leq N, M \leq 300$). Then $M$ lines with $U_i$, $V_i$ ($1 \leq U_i, V_i \leq N$), an
integer $Q$ ($1 \leq Q \leq 300$), and $Q$ queries:
\begin{itemize}
\item{\texttt{1 X} \, Remove edge $X$ ($1 \leq X \leq M$).}
\item{\texttt{2 X} \, Print the degree of node $X$ ($1 \leq X \leq N$).}
\end{itemize}
"""
MARKS = "if x == 1:\n    assert not deleted[y - 1]\n    deleted[y - 1] = 1\n"
SECOND_IN_EDGES = 3  # the column of V


def why_refused(data: bytes, *, strict: bool = False) -> str:
    """Say what is wrong; `strict`: V is at most M as well."""
    rows = [tuple(map(int, line.split())) for line in data.decode().splitlines()]
    n, m = rows[0]
    queries = rows[m + 2 :]
    deleted = [x for kind, x in queries if kind == 1]
    if not all(1 <= end <= n for edge in rows[1 : m + 1] for end in edge):
        return "edges"
    if strict and any(v > m for _, v in rows[1 : m + 1]):
        return "strict"
    if not all(1 <= x <= m for x in deleted) or not all(1 <= x <= n for kind, x in queries if kind == 2):
        return "queries"
    return "" if len(set(deleted)) == len(deleted) and rows[m + 1] == (len(queries),) else "twice"


@pytest.mark.parametrize(
    ("text", "kinds"),
    [
        (STATEMENT, "12"),
        ("- `1 x y`: add\n- `2 x`: print\n", "12"),
        ("* If $t = 1$, add $x$\n* if $t = 2$, print\n", "12"),
        ("A query of type $1$ adds $x$, one of type 2 prints.", "12"),
        ("1. An item\n2. Another\n", ""),
        ("In query 1 we add 5, in query 2 we print it.", ""),
        ("- 1 integer $n$\n- 2 words, each with $5 x$ letters\n", ""),
    ],
)
def test_numbers_that_a_statement_uses_for_kinds(text: str, kinds: str) -> None:
    assert kinds_in(text) == set(kinds)


def test_kinds_have_columns_of_their_own_only_if_the_statement_tells_them() -> None:
    *_, queries = known(SAMPLE, statement=STATEMENT).nodes
    assert isinstance(queries, Repeat)
    assert queries.body == (Choice(5, (("1", (6,)), ("2", (7,)))),)
    assert [each.body for each in known(SAMPLE).nodes if isinstance(each, Repeat)][-1] != queries.body
    assert all(node.count is not None for node in known(SAMPLE).nodes if isinstance(node, Repeat))


def test_a_name_with_two_greatest_values_has_none_that_a_formula_tells() -> None:
    told = {each.name: each.high_by for each in read_statement(STATEMENT)}
    assert told["X"] is None
    assert told["U"] is not None


@pytest.mark.parametrize("size", [1, 2, 5, 300])
def test_each_kind_has_its_range_and_no_value_twice_in_inputs_of_all_sizes(size: int) -> None:
    found = known(SAMPLE, statement=STATEMENT, validator=MARKS)
    assert found.beliefs[distinct_rule(6)] > 0.8, "marks that are looked up: each value comes once"
    kept = {rule: 1.0 for rule, share in found.beliefs.items() if rule.kind is not RuleKind.BOUND or share > 0.5}
    ranges = {number: replace(each, lowest=True) for number, each in found.ranges.items()}  # none is negative
    found = replace(found, beliefs=kept, ranges=ranges)
    style = Style("some", Size(1, size), (Where.FULL, Where.LOW, Where.HIGH))
    made = [data for _, data in islice(build_styled(found, repeat(style), random.Random(1)), 60)]
    assert {why_refused(data) for data in made} == {""}
    assert max(data.count(b"\n") for data in made) > 1.5 * size


def test_refusals_teach_that_another_number_bounds_a_column_too() -> None:
    told = problem(SAMPLE, statement=STATEMENT, validator=MARKS)
    found = known(SAMPLE, statement=STATEMENT, validator=MARKS)
    other = Rule(RuleKind.BOUND, (SECOND_IN_EDGES, 1), 0)
    assert found.beliefs[other] == 0, "it is not kept before a refusal"
    style = Style("some", Size(1, 40), (Where.FULL,))
    made = [data for _, data in islice(build_styled(found, repeat(style), random.Random(2)), 60)]
    valid = [data for data in made if not why_refused(data, strict=True)]
    refused = [data for data in made if why_refused(data, strict=True) == "strict"]
    assert len(refused) > 5
    learnt = learn_from_refusals(told, found, valid, [Refusal(data, "some") for data in refused], ["some"])
    assert learnt.beliefs[other] > 0.9
    sure = replace(learnt, beliefs={rule: round(share) for rule, share in learnt.beliefs.items()})
    later = [data for _, data in islice(build_styled(sure, repeat(style), random.Random(3)), 60)]
    assert "strict" not in {why_refused(data, strict=True) for data in later}
