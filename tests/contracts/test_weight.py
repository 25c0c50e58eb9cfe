"""The tree grows no heavier than `weight.toml` says: code lines by room, and what else there is too much of.

    python -m tests.contracts.test_weight            # the tree beside the table
    python -m tests.contracts.test_weight --write    # the table anew, of the tree as it is

A code line of Python has a token that is neither a comment nor a docstring. Lines that are packed win nothing: a room
with more than 10.3 tokens a line counts by its tokens. Another text file of the source counts as its lines, or its
bytes / 60 if those are more; in the tests, where it is data, it does not count.
"""

import ast
import inspect
import io
import re
import sys
import tokenize
import tomllib
import warnings
from collections import defaultdict
from functools import cache
from pathlib import Path

import pytest
from balancer_simulator.scenario.scenario import Scenario
from typer.main import get_command

from balancer.commands.app import make_app
from balancer.hookspecs import HookSpecs
from balancer.plugins.registry import Registry
from balancer.settings.config import Config
from balancer.settings.tables import keys_of, tables_in
from tests.contracts.documents import ROOT
from tests.contracts.test_structure import imported, trees

_TABLE = Path(__file__).with_name("weight.toml")
_TOKENS_A_LINE, _LIGHTER = 10.3, 200
_FINER = ("balancer/pipeline/generators", "balancer/pipeline/packages", "balancer/pipeline/report", "tests/benchmarks")
_NO_TEXT = {".png", ".webp", ".gz", ".zip", ".ipynb", ".svg", ".parquet", ".ico", ".in", ".ans", ".md", ".typed"}
_NO_CODE = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}
_F_BEGINS, _F_ENDS = getattr(tokenize, "FSTRING_START", -1), getattr(tokenize, "FSTRING_END", -1)


def _weighed(text):
    """Return the code lines and the tokens of a Python file. A docstring is a text that a block begins with."""
    lines = set()
    tokens = within = 0
    begins = True
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type in _NO_CODE:
            begins |= token.type == tokenize.INDENT
        elif not (begins and token.type == tokenize.STRING):
            lines.update(range(token.start[0], token.end[0] + 1))
            tokens += not within  # before Python 3.12 an f-string was one token; it is one here
            within += (token.type == _F_BEGINS) - (token.type == _F_ENDS)
            begins = False
    return len(lines), tokens


def _room(file):
    """Return the room of a file: a folder of `balancer` or a part of one that is large, or the tree that it is in."""
    finer = next((room for room in _FINER if file.startswith(f"{room}/")), "")
    parts = file.split("/")
    return finer or "/".join(parts[: 2 if parts[0] == "balancer" and len(parts) > 2 else 1])


def _by_room(*folders):
    """Return the weight of each room of some folders."""
    lines, tokens, other = (defaultdict[str, int](int) for _ in range(3))
    for path in sorted(path for folder in folders for path in (ROOT / folder).rglob("*") if path.is_file()):
        file = path.relative_to(ROOT).as_posix()
        room = _room(file)
        if path.suffix == ".py":
            of_lines, of_tokens = _weighed(path.read_text(encoding="utf-8"))
            lines[room] += of_lines
            tokens[room] += of_tokens
        elif (
            folders != ("tests",)
            and path.suffix not in _NO_TEXT
            and not {"data", "__pycache__", ".hypothesis"} & {*path.parts}
        ):
            data = path.read_bytes()
            other[room] += max(data.count(b"\n"), len(data) // 60)
    return {room: max(lines[room], round(tokens[room] / _TOKENS_A_LINE)) + other[room] for room in sorted(lines)}


def _keys(table, seen):
    """Count the keys of a table and of all tables below it; the name of a table is no key."""
    seen.add(table)
    keys = 0
    for field in keys_of(table).values():
        below = list(tables_in(field.annotation))
        keys += not below
        keys += sum(_keys(each, seen) for each in dict.fromkeys(below) if each not in seen)
    return keys


def _imports():
    """Return for each room the rooms that it imports from; the strategies are one, and so is the simulator."""

    def room_of(name):
        return ".".join(name.split(".")[: 2 if name.startswith("balancer.") else 1])

    found = {}
    for name, (_, tree) in trees().items():
        there = {room_of(other) for other in imported(tree) if other in trees()}
        found.setdefault(room_of(name), set()).update(there - {room_of(name)})
    return found


def _floors(rooms):
    """Return how many rooms stand on one another."""

    @cache
    def height(room):
        return 1 + max((height(below) for below in rooms[room] if below != "balancer"), default=0)

    return max(map(height, rooms))


def _words():
    return sum(
        len(page.read_text(encoding="utf-8").split()) for page in (*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"))
    )


def _public():
    """Count the names that the packages say are public, and those of modules that stand in no room."""
    doors = [tree for path, tree in trees().values() if path.name == "__init__.py" or path.parent.name == "balancer"]
    found = [node for tree in doors for node in tree.body if isinstance(node, ast.Assign)]
    return sum(len(ast.literal_eval(node.value)) for node in found if ast.unparse(node.targets[0]) == "__all__")


def _counts():
    commands = get_command(make_app(Registry(group=None))).commands.values()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    rooms = _imports()
    return {
        "modules": sum(path.name != "__init__.py" for path, _ in trees().values()),
        "rooms": len(rooms),
        "floors": _floors(rooms),
        "arrows": sum(map(len, rooms.values())),
        "public names": _public(),
        "keys of a pool": _keys(Config, set()),
        "keys of a scenario": _keys(Scenario, set()),
        "commands": len(commands),
        "options": sum(name.startswith("--") for each in commands for one in each.params for name in one.opts),
        "hooks": len(inspect.getmembers(HookSpecs, inspect.isfunction)),
        "extras": len(project["optional-dependencies"]),
        "words of make": len(
            re.findall(r"^[a-z-]+:.*## ", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
        ),
        "words of docs": _words(),
    }


def weigh(kind):
    """Return a part of the table, of the tree as it is."""
    folders = {"source": ("balancer", "strategies", "simulator", "notebooks"), "tests": ("tests",)}
    return _counts() if kind == "counts" else _by_room(*folders[kind])


def _table():
    return tomllib.loads(_TABLE.read_text(encoding="utf-8"))


def _written(table):
    head = "# Code lines of each room, and counts. Written by `python -m tests.contracts.test_weight --write`.\n"
    parts = [f"\n[{kind}]\n" + "".join(f'"{name}" = {n}\n' for name, n in rows.items()) for kind, rows in table.items()]
    return head + "".join(parts)


@pytest.mark.filterwarnings("default:lower the table")
@pytest.mark.parametrize("kind", ["source", "tests"])
def test_code_grows_in_one_room_only_as_it_shrinks_in_others(kind):
    now, most = weigh(kind), _table()[kind]
    over = {room: f"{most.get(room, 0)} -> {n}" for room, n in now.items() if n > most.get(room, 0)}
    less = sum(most.values()) - sum(now.values())
    assert less >= 0, f"{kind}: {-less} code lines more than tests/contracts/weight.toml has; heavier rooms: {over}"
    if less > _LIGHTER:
        warnings.warn(f"lower the table: {kind} has {less} lines fewer; {__spec__.name} --write", stacklevel=1)


def test_nothing_else_grows():
    now, most = weigh("counts"), _table()["counts"]
    assert list(now) == list(most)
    assert {name: f"{most[name]} -> {n}" for name, n in now.items() if n > most[name]} == {}


if __name__ == "__main__":
    kept = _table()
    weighs = {kind: weigh(kind) for kind in ("counts", "source", "tests")}
    for kind, rows in weighs.items():
        for name, n in rows.items():
            print(f"{name:32} {n:7} {kept[kind].get(name, 0):7}")
        if kind != "counts":
            print(f"{kind + ' together':32} {sum(rows.values()):7} {sum(kept[kind].values()):7}")
    if "--write" in sys.argv:
        _TABLE.write_text(_written(weighs), encoding="utf-8")
