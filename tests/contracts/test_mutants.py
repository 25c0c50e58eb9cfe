"""Every mistake of tests/mutants still applies: its text is in its file once, and the test that must find it exists."""

import ast

import pytest

from tests.contracts.documents import ROOT
from tests.mutants.mutant import Mutant, mutants

_ALL = mutants()


@pytest.mark.parametrize("mutant", _ALL, ids=lambda mutant: mutant.name)
def test_a_mutant_applies_and_is_another_program(mutant: Mutant) -> None:
    source = (ROOT / mutant.file).read_text(encoding="utf-8")
    changed = mutant.applied(source)  # raises unless its text is there once
    assert ast.dump(ast.parse(changed)) != ast.dump(ast.parse(source))


@pytest.mark.parametrize("mutant", _ALL, ids=lambda mutant: mutant.name)
def test_the_test_that_must_find_it_exists(mutant: Mutant) -> None:
    path, _, name = mutant.test.partition("::")
    name, _, case = name.partition("[")
    text = (ROOT / path).read_text(encoding="utf-8")
    names = {node.name for node in ast.parse(text).body if isinstance(node, ast.FunctionDef)}
    assert name in names, f"{path} has no {name}"
    assert case.removesuffix("]") in text


def test_there_are_enough_of_them_and_a_short_form() -> None:
    assert len(_ALL) >= 20
    assert 5 <= sum(mutant.short for mutant in _ALL) <= 8
    rooms = tuple(f"balancer/{room}/" for room in ("core", "cluster", "pool", "shells"))
    assert all(mutant.file.startswith(rooms) for mutant in _ALL)
    assert len({mutant.why for mutant in _ALL}) == len(_ALL)


def test_a_text_that_is_not_there_once_is_refused() -> None:
    mutant = Mutant("double", "why", "file.py", "x", "y", "tests/test.py::test_it")
    assert mutant.applied("a x") == "a y"
    for source in ("", "x x"):
        with pytest.raises(ValueError, match=r"double: the text it replaces is \d times in file.py"):
            mutant.applied(source)
