"""Languages of a run: which are used, which one runs submissions in Python, and which are missing. Pure."""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from dataclasses import replace

from balancer.pipeline.results.missing_languages import why_left_out
from balancer.problem import Problem
from balancer.reporting.words import count
from balancer.rows.solutions import LANGUAGES

__all__ = ["languages_in", "lines_on_missing", "with_python"]


def languages_in(problems: Iterable[Problem], python: str) -> frozenset[str]:
    """Return the languages of all submissions, validators and checkers; those of rows if no problem is known yet."""
    used = {
        program.language
        for problem in problems
        for program in (
            *(submission.program for submission in problem.submissions),
            *problem.input_validators,
            *((problem.checker.program,) if problem.checker.program else ()),
            *(recipe.program for recipe in problem.recipes if recipe.program),
        )
    }
    return frozenset(used or {*LANGUAGES, python})


def with_python(problem: Problem, python: str) -> Problem:
    """Return `problem` with its Python submissions in the language `python`. Validators do not change."""
    if python == "python":
        return problem
    submissions = tuple(
        replace(each, program=replace(each.program, language=python)) if each.program.language == "python" else each
        for each in problem.submissions
    )
    return replace(problem, submissions=submissions)


def lines_on_missing(problems: Iterable[Problem], known: Collection[str]) -> Iterator[str]:
    """Yield a line for each language that no endpoint runs, with the submissions left out."""
    problems = tuple(problems)
    lost = Counter(s.program.language for p in problems for s in p.submissions if s.program.language not in known)
    for language, many in sorted(lost.items()):
        where = sum(any(s.program.language == language for s in p.submissions) for p in problems)
        yield f"{why_left_out(language)}: {count(many, 'submission')} of {count(where, 'problem')} left out"
