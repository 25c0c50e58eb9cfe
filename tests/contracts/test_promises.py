"""Each promise of docs/promises.md has a test that exists."""

import ast
import re

import pytest

from tests.contracts.documents import ROOT
from tests.mutants.mutant import mutants

_PAGE = (ROOT / "docs" / "promises.md").read_text(encoding="utf-8")
_ROWS = [
    tuple(cell.strip() for cell in line.strip("|").split("|"))
    for line in _PAGE.partition("## What is not promised")[0].splitlines()
    if line.startswith("| ") and not line.startswith("| promise ")
]


def test_there_are_promises():
    assert len(_ROWS) >= 20


@pytest.mark.parametrize("row", _ROWS, ids=lambda row: row[0])
def test_a_promise_has_a_test_that_exists(row):
    promise, test = row
    assert promise
    named = re.findall(r"`(tests/[\w/.]+)(?:::(\w+))?`", test)
    assert named
    for path, name in named:
        text = (ROOT / path).read_text(encoding="utf-8")
        if name:
            assert name in {node.name for node in ast.parse(text).body if isinstance(node, ast.FunctionDef)}


def test_it_counts_the_mutants_that_there_are():
    (of,) = re.findall(r"\d+ of (\d+) found", _PAGE)
    assert int(of) == len(mutants())
