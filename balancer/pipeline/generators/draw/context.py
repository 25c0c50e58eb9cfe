"""The context of one drawn input: what is known, drawn and spent while its values are made to keep the rules.

Decides nothing; `totals` and `lists` change columns with it, `obey` decides which rules are kept to.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass, field

from balancer.pipeline.generators.draw.graphs import Shape
from balancer.pipeline.generators.learn.knowledge import Knowledge
from balancer.pipeline.generators.learn.rules import Rule

__all__ = ["Columns", "DrawContext", "Redraw", "RulesConflict"]

Columns = dict[int, list[str]]
Redraw = Callable[[int], str]


class RulesConflict(Exception):
    """The values that were drawn cannot be brought into line."""


@dataclass(slots=True)
class DrawContext:
    """What is at hand for one input.

    Attributes:
        knowledge: what has been learnt of inputs.
        shape: of the graph that is drawn, if one is.
        rng: for what is chosen.
        drawn: the columns so far, by field.
        rows: of matrices that are not whole yet, by field.
        spent: what of a limited sum is used up.
        patches: new values of single fields that were written before, by field; to be taken away by the writer.
    """

    knowledge: Knowledge
    shape: Shape | None
    rng: random.Random
    drawn: Columns = field(default_factory=dict)
    rows: dict[int, list[list[str]]] = field(default_factory=dict)
    spent: dict[Rule, int] = field(default_factory=dict)
    patches: dict[int, int] = field(default_factory=dict)

    def limits(self, number: int) -> tuple[int, int]:
        """Return the range of a field."""
        found = self.knowledge.ranges[number]
        return found.low, max(found.highs)
