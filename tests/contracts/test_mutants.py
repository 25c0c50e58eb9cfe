"""Every mistake of tests/mutants still applies: its text is in its file once, and the test that must find it exists."""

import ast

import pytest

from tests.contracts.documents import ROOT
from tests.mutants.changes import changes
from tests.mutants.mutant import mutants

_ALL = mutants()


@pytest.mark.parametrize("mutant", _ALL, ids=lambda mutant: mutant.name)
def test_a_mutant_applies_and_is_another_program(mutant):
    source = (ROOT / mutant.file).read_text(encoding="utf-8")
    changed = mutant.applied(source)  # raises unless its text is there once
    assert ast.dump(ast.parse(changed)) != ast.dump(ast.parse(source))


@pytest.mark.parametrize("mutant", _ALL, ids=lambda mutant: mutant.name)
def test_the_test_that_must_find_it_exists(mutant):
    path, _, name = mutant.test.partition("::")
    name, _, case = name.partition("[")
    text = (ROOT / path).read_text(encoding="utf-8")
    names = {node.name for node in ast.parse(text).body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
    assert name in names, f"{path} has no {name}"
    assert all(part in text for part in case.removesuffix("]").split("-"))


def test_there_are_enough_of_them_and_a_short_form():
    assert len(_ALL) >= 20
    assert 5 <= sum(mutant.short for mutant in _ALL) <= 8
    rooms = tuple(f"balancer/{room}/" for room in ("core", "cluster", "opening", "pool", "ray", "shells"))
    assert all(mutant.file.startswith(rooms) for mutant in _ALL)
    assert len({mutant.why for mutant in _ALL}) == len(_ALL)


_SOURCE = """
class A:
    limit: int = 3
    def f(self, n: int = 1) -> int:
        \'A text.\'
        if n < 2 and self.limit:
            raise ValueError(f"{n + 1}")
        _log.warning("%s", n)
        self.n: int = g(n, k=n, t="text")
        return self.n
    def __repr__(self):
        return str(1 + 1)
"""
_CHANGES = {
    "not (n < 2 and self.limit)",
    "n < 2 or self.limit",
    "n <= 2",
    "3",
    "if False:",
    "self.n: int = None",
    "g(None, k=n, t='text')",
    "g(n, k=None, t='text')",
    "return None",
}


def test_the_small_changes_of_a_class_are_those_of_what_its_functions_do():
    whole = ast.unparse(ast.parse(_SOURCE))
    made = list(changes(ast.parse(_SOURCE)))
    assert {each.words.partition("  ->  ")[2] for each in made} == _CHANGES
    for number, _ in enumerate(made):
        tree = ast.parse(_SOURCE)
        change = list(changes(tree))[number]
        change.make()
        now = ast.unparse(ast.fix_missing_locations(tree))
        assert now != whole
        assert all(line in now for line in ("limit: int = 3", "n: int=1", "str(1 + 1)")), change.words
