"""For tests of the generators: a problem that is its inputs, and what is learnt of it."""

from pathlib import Path

from balancer.pipeline.generators.learn.knowledge import Knowledge, knowledge_of
from balancer.problem import Checker, Origin, Problem, Proposal
from balancer.program import Program

__all__ = ["known", "problem"]


def problem(*inputs: bytes | str, validator: str = "", statement: str = "") -> Problem:
    """Return a problem with these samples."""
    texts = [text.encode() if isinstance(text, str) else text for text in inputs]
    data = tuple(Proposal(text, Origin("data", ""), sample=True) for text in texts)
    validators = (Program("python", validator),) if validator else ()
    return Problem("p", "p", Path(), None, None, data, validators, Checker(), (), statement=statement)


def known(*inputs: bytes | str, validator: str = "", statement: str = "") -> Knowledge:
    """Return what is learnt of such a problem."""
    found = knowledge_of(problem(*inputs, validator=validator, statement=statement))
    assert found is not None
    return found
