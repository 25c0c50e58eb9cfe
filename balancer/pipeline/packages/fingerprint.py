"""Problem fingerprint: a hash of all that its verdicts depend on. Pure."""

import hashlib
from collections.abc import Iterable

from balancer.problem import CaseOptions, Problem, Recipe
from balancer.program import Program

__all__ = ["fingerprint"]


def fingerprint(problem: Problem) -> str:
    """Return a hash, 64 hex digits, of everything that matters to verdicts: data, programs, limits, flags.

    Names for people and the place of the package do not matter; names of submissions do, as results go by them.
    """
    parts = (
        problem.time_limit_s,
        problem.memory_bytes,
        tuple((_hash(known.data), None if known.answer is None else _hash(known.answer)) for known in problem.data),
        _essence(problem.input_validators),
        _essence([problem.checker.program] if problem.checker.program else []),
        problem.checker.flags,
        tuple((s.name, s.accepted, s.expected, *_essence([s.program])) for s in problem.submissions),
        sorted((name, _options(options)) for name, options in problem.options.items()),
        tuple(map(_recipe, problem.recipes)),
    )
    return _hash(repr(parts).encode("utf-8", "surrogatepass"))


def _essence(programs: Iterable[Program]) -> tuple[object, ...]:
    return tuple(
        (program.language, program.source, program.args, tuple((name, _hash(data)) for name, data in program.extras))
        for program in programs
    )


def _options(options: CaseOptions) -> tuple[object, ...]:
    files = tuple((name, _hash(data)) for name, data in options.files)
    return sorted(options.validators.items()), options.checker, options.args, files


def _recipe(recipe: Recipe) -> tuple[object, ...]:
    answer = None if recipe.answer is None else _hash(recipe.answer)
    program = _essence([recipe.program] if recipe.program else [])
    return recipe.name, program, recipe.args, recipe.seed, _hash(recipe.data), answer, recipe.missing


def _hash(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
