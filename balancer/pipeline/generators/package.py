"""Generator `package`: inputs from the package's own generator programs, run in the sandbox.

In every round, each recipe in turn is given a new seed.
"""

import random
from collections.abc import Iterable, Iterator
from itertools import cycle
from typing import ClassVar

from balancer.hookspecs import Generator, hookimpl
from balancer.pipeline.proposing import Feedback, Toolbox, ended
from balancer.problem import Origin, Problem, Proposal, Recipe
from balancer.program import Program, Status

__all__ = ["PackagePlugin", "balancer_generators"]

_PART = 4  # one in so many of a round's proposals, to leave room for other generators
_MOST_INPUT = 64 * 2**20  # bytes, as for a file of a package
_MOST_FAILURES = 2  # in a row; then a recipe is not tried with further seeds


class PackagePlugin:
    """Run the package's own generators. Without any, it proposes and runs nothing."""

    name: ClassVar[str] = "package"

    def equip(self, toolbox: Toolbox) -> Generator:
        """Return the generator for the problem of `toolbox`."""
        return _PackageGenerator(toolbox)


class _PackageGenerator:
    """Proposes for one problem, over all rounds."""

    name: ClassVar[str] = PackagePlugin.name

    def __init__(self, toolbox: Toolbox) -> None:
        self._toolbox = toolbox
        self._failures: dict[str, int] = {}

    def propose(self, problem: Problem, rng: random.Random, budget: int) -> Iterable[Proposal]:
        return self._others(problem, rng, budget - len(problem.data))

    def refine(self, problem: Problem, feedback: Feedback, rng: random.Random, budget: int) -> Iterable[Proposal]:
        return self._others(problem, rng, budget)

    def _others(self, problem: Problem, rng: random.Random, budget: int) -> Iterator[Proposal]:
        recipes = rng.sample(problem.recipes, len(problem.recipes))
        left = -(-max(budget, 0) // _PART)
        for recipe in cycle(recipes):
            if left == 0 or all(map(self._failed, recipes)):
                return
            if self._failed(recipe):
                continue
            seed = rng.randrange(2**31)
            data = self._made(recipe, seed)
            left -= 1
            if data is not None:
                yield Proposal(data, Origin(self.name, f"{recipe.name} with seed {seed}"))

    def _failed(self, recipe: Recipe) -> bool:
        return self._failures.get(recipe.name, 0) >= _MOST_FAILURES

    def _made(self, recipe: Recipe, seed: int) -> bytes | None:
        """Return the input of a recipe; None if it makes none, which is noted once."""
        program = recipe.command(seed)
        if program.language not in self._toolbox.languages:
            self._fail(recipe, program, f"no endpoint runs {program.language}")
            return None
        execution, why = self._toolbox.run(program)
        if execution is None:
            why = f"it could not be run: {why}"
        elif execution.status is not Status.FINISHED or execution.exit_code != 0:
            why = ended(execution)
        elif not execution.stdout:
            why = "it prints nothing (files that it writes are not read)"
        elif len(execution.stdout) > _MOST_INPUT:
            why = f"it prints {len(execution.stdout)} bytes; {_MOST_INPUT} are allowed"
        else:
            self._failures.pop(recipe.name, None)
            return execution.stdout
        self._fail(recipe, program, why)
        return None

    def _fail(self, recipe: Recipe, program: Program, why: str) -> None:
        failures = self._failures[recipe.name] = self._failures.get(recipe.name, 0) + 1
        if failures == 1:
            self._toolbox.note(f"{' '.join((program.name, *program.args))[:200]} does not make {recipe.name}: {why}")


@hookimpl
def balancer_generators() -> list[PackagePlugin]:
    """Return the generator of this module."""
    return [PackagePlugin()]
