"""A problem without the bytes of its data: all problems of a run are known at once, their data need not be. Pure."""

from dataclasses import replace

from balancer.problem import Problem

__all__ = ["without_data"]


def without_data(problem: Problem) -> Problem:
    """Return `problem` with as many inputs, answers and files beside them, all of which are empty."""
    return replace(
        problem,
        data=tuple(replace(each, data=b"", answer=_emptied(each.answer)) for each in problem.data),
        recipes=tuple(replace(each, data=b"", answer=_emptied(each.answer)) for each in problem.recipes),
        options={
            name: replace(options, files=tuple((file, b"") for file, _ in options.files))
            for name, options in problem.options.items()
        },
    )


def _emptied(answer: bytes | None) -> bytes | None:
    return None if answer is None else b""
