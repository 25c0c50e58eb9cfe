"""The structure of the source: folders and files have no circles, a class name is one class, functions are short.

Pure: everything is read off the syntax trees of `balancer`, `strategies` and `simulator`. A parent and its child
are one subject, so what they import of each other is no circle.
"""

import ast
from collections import defaultdict
from functools import cache

import pytest

from tests.contracts.documents import ROOT

__all__ = ["imported", "trees"]

pytestmark = pytest.mark.xdist_group("trees")  # they are parsed once

_LONGEST = 80  # lines of a function
_FOLDERS = ("balancer", "strategies/balancer_strategies", "simulator/balancer_simulator")


@cache
def trees():
    """Return each module by its dotted name: its path below the root, and its syntax tree."""
    found = {}
    for folder in _FOLDERS:
        for path in sorted((ROOT / folder).rglob("*.py")):
            inside = path.relative_to((ROOT / folder).parent).with_suffix("")
            name = ".".join(inside.parts).removesuffix(".__init__")
            found[name] = (path.relative_to(ROOT), ast.parse(path.read_text(encoding="utf-8")))
    return found


def statements(tree):
    """Yield all statements below a node. What they are made of is not looked at: that takes ten times as long."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.stmt):
            yield node
        if isinstance(node, ast.stmt | ast.excepthandler | ast.match_case):
            yield from statements(node)


def imported(tree):
    """Yield the dotted name of everything that is imported anywhere in a module, for type hints as well."""
    for node in statements(tree):
        if isinstance(node, ast.Import):
            yield from (each.name for each in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            yield node.module
            yield from (f"{node.module}.{each.name}" for each in node.names)


def _between_folders():
    """Return, for each folder, the other ones that its modules import from; a parent and its child do not count."""
    modules = trees()
    found = defaultdict(set)
    for path, tree in modules.values():
        here = path.parent
        for name in imported(tree):
            there = modules[name][0].parent if name in modules else here
            if not here.is_relative_to(there) and not there.is_relative_to(here):
                found[here.as_posix()].add(there.as_posix())
    return found


def _within_folders():
    """Return, for each module, the other ones of its folder that it imports from; the door of a folder is none."""
    modules = {name: found for name, found in trees().items() if found[0].name != "__init__.py"}
    return {
        name: {other for other in imported(tree) if other in modules and modules[other][0].parent == path.parent}
        - {name}
        for name, (path, tree) in modules.items()
    }


def _reached(start, edges):
    seen = set()
    todo = [start]
    while todo:
        new = edges.get(todo.pop(), set()) - seen
        seen |= new
        todo += new
    return seen


def test_no_folder_imports_one_that_imports_it_back():
    edges = _between_folders()
    assert len(edges) > 30
    assert {folder for folder in edges if folder in _reached(folder, edges)} == set()


def test_no_file_imports_one_of_its_folder_that_imports_it_back():
    """But for `Pool.connect` and `Pool.aio`: what they return is made of a pool."""
    edges = _within_folders()
    assert sum(map(len, edges.values())) > 400
    found = {name for name in edges if name in _reached(name, edges)}
    assert found == {f"balancer.opening.{name}" for name in ("pool", "aio", "connected")}


def test_a_class_name_stands_for_one_class():
    where = defaultdict(list)
    for name, (_, tree) in trees().items():
        for node in tree.body:  # a class within a class goes by the outer one's name: each strategy has its `Options`
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                where[node.name].append(name)
    assert len(where) > 500
    assert {name: homes for name, homes in where.items() if len(homes) > 1} == {}


def test_no_function_is_longer_than_a_screen_or_two():
    functions = [
        (node.name, (node.end_lineno or 0) - node.lineno + 1)
        for _, tree in trees().values()
        for node in statements(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    assert len(functions) > 3000
    assert {name for name, lines in functions if lines > _LONGEST} == set()
