"""Grammar draws: a checktestdata grammar run backwards. Each of its reads draws.

The library `checktestdata` turns a grammar into Python code. This module rewrites that code:

- An assertion, and the reads just before it whose variables it has, are tried several times.
- A read knows the comparisons that it decides, as functions of its value: its range is narrowed by them.
- A read of the last variable of `UNIQUE` takes values that are free.

It runs in the sandbox, as a part of the program that `from_grammar` packs: a grammar is not trusted.
"""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction
from random import Random
from typing import Any, TypeAlias

from checktestdata import lib
from checktestdata.lib import Boolean, Number, String
from checktestdata.parser import (
    Assignment,
    Command,
    Expression,
    For,
    If,
    Variable,
)
from checktestdata.parser import parse as parse_grammar
from checktestdata.tokenizer import tokenize

from balancer.pipeline.generators.drawing.choices import Choices, NotDrawn, Site, TooMuch

__all__ = ["Grammar", "main"]

_TRIES, _OUTER_TRIES = 60, 8  # of a part: with reads alone, with loops in it
_RESTARTS = 12  # of an input
_WORK = 15 * 10**5  # reads of all tries of an input
_VALUES = 10**4  # seeds that differ only below this have the same modes
_MOST_NESTED = 8  # parts tried again within each other: Python nests 20 blocks
_MOST_S, _MOST_OUT = 6.0, 8 * 10**6  # CPU seconds and bytes of a run
Term: TypeAlias = Variable | Expression | Command  # a part of an expression
Line: TypeAlias = Assignment | Command | Expression | For | If  # a statement of the code that the library makes
Key: TypeAlias = tuple[Number, ...] | None  # of an entry of an array; None: of a variable
Value: TypeAlias = Number | String
Rational: TypeAlias = int | Fraction
Change: TypeAlias = "tuple[_Variable, Any, Any]"  # the variable, the key, and what was there
_READS = (b"INT", b"FLOAT", b"FLOATP", b"REGEX")
_COMPARED = {"<", "<=", ">", ">=", "=="}


# -- reading the code of a grammar --------------------------------------------------------------------------


@dataclass(slots=True, eq=False)
class _Node:
    """A statement, with those inside it. `first` and `last` number the statements, in the order of the source."""

    line: Line
    body: list[_Node] = field(default_factory=list)
    first: int = 0
    last: int = 0

    @property
    def is_read(self) -> bool:
        return _read_command(self.line) is not None

    @property
    def is_assertion(self) -> bool:
        return isinstance(self.line, Command) and _name(self.line) == b"ASSERT"

    @property
    def sets(self) -> bool:
        return isinstance(self.line, Assignment) and not self.is_read

    def assigned(self) -> set[str]:
        """Return the names of variables that it assigns, inside too."""
        found = {each.name for each in self.line.lhs if isinstance(each, Variable)} if _assigns(self.line) else set()
        return found.union(*(each.assigned() for each in self.body))


def _assigns(line: Line) -> bool:
    return isinstance(line, Assignment)


def _read_command(line: Line) -> Command | None:
    if isinstance(line, Assignment) and len(line.rhs) == 1:
        line = line.rhs[0]
    return line if isinstance(line, Command) and _name(line) in _READS else None


def _name(command: Command) -> bytes:
    return b"" if isinstance(command.token, str) else command.token.bytes()


def _variables(what: Term | None) -> set[str]:
    """Return the names of the variables in an expression."""
    if isinstance(what, Variable):
        return {what.name}.union(*map(_variables, what.arguments or ()))
    if isinstance(what, Expression):
        return _variables(what.lhs) | _variables(what.rhs)
    if isinstance(what, Command):
        return set[str]().union(*map(_variables, what.arguments))
    return {what} if isinstance(what, str) and what.startswith("var_") else set()


def _tree(lines: Sequence[tuple[int, Line]]) -> list[_Node]:
    top: list[_Node] = []
    bodies = [top]
    for number, (indent, line) in enumerate(lines):
        del bodies[indent + 1 :]
        node = _Node(line, first=number, last=number)
        bodies[indent].append(node)
        bodies.append(node.body)
    for node in top:
        _close(node)
    return top


def _close(node: _Node) -> None:
    for each in node.body:
        _close(each)
        node.last = each.last


def _atoms(what: Term) -> Iterator[Term]:
    """Yield the parts of a conjunction."""
    if isinstance(what, Expression) and what.op is None and isinstance(what.lhs, Expression):
        yield from _atoms(what.lhs)
    elif isinstance(what, Expression) and str(what.op).strip() == "and":
        yield from _atoms(what.lhs)
        yield from _atoms(what.rhs)
    else:
        yield what


@dataclass(slots=True, eq=False)
class _Read(Site):
    """A read of the grammar.

    Attributes:
        apart: the variable that it fills and others, whose rows must differ.
        compared: function, operator, whether it is carried, and whether it adds up, of comparisons that it decides.
        patterns: compiled regular expressions.
        taken: rows of words -> their keys.
        root: the last value that an equation asked for; mostly it is the next one, too.
    """

    apart: tuple[str, ...] = ()
    compared: list[tuple[str, str, bool, bool]] = field(default_factory=list)
    patterns: dict[bytes, re.Pattern[bytes]] = field(default_factory=dict)
    taken: dict[tuple[bytes, ...], Key] = field(default_factory=dict)
    root: int = 0


@dataclass(slots=True)
class _Condition:
    """What must hold: a comparison, perhaps only if another condition does."""

    parts: Term
    guard: Term | None = None

    @property
    def variables(self) -> set[str]:
        return _variables(self.parts) | _variables(self.guard)


def _conditions(node: _Node) -> list[_Condition]:
    """Return what a statement asserts: an assertion, or an IF with assertions alone."""
    if node.is_assertion:
        return [_Condition(each) for each in _atoms(node.line.arguments[0])]
    if isinstance(node.line, If) and node.body and all(each.is_assertion for each in node.body):
        guard = node.line.condition
        return [_Condition(each.parts, guard) for inner in node.body for each in _conditions(inner)]
    return []


# -- writing the code that draws ------------------------------------------------------------------------------


@dataclass(slots=True)
class _Part:
    """Code that is written: its lines, variables that it reads or sets, and those of its open assertions."""

    lines: list[str]
    assigned: set[str] = field(default_factory=set)
    reads: bool = False
    open: set[str] = field(default_factory=set)
    nested: int = 0
    fixed: bool = False  # it begins the turn of a loop
    tries: int = _TRIES


@dataclass(slots=True)
class _Loop:
    """The loop around a statement: its body."""

    body: list[_Node]


class _Writer:
    """Writes the code that draws, and the sites of a grammar."""

    def __init__(self, tree: list[_Node]) -> None:
        self.sites: list[_Read] = []
        self.functions: list[str] = []
        self._all = [node for top in tree for node in _walk(top)]
        self._unique = self._unique_groups()
        self._sizes = self._size_names()
        self._hoped = self._hoped_conditions(tree)

    # -- what the whole grammar tells --

    def _unique_groups(self) -> list[list[str]]:
        return [
            list(test.arguments)
            for node in self._all
            if node.is_assertion
            for atom in _atoms(node.line.arguments[0])
            if (test := _test(atom, b"UNIQUE")) is not None
        ]

    def _size_names(self) -> set[str]:
        names: set[str] = set()
        for node in self._all:
            if isinstance(node.line, Assignment) and str(node.line.lhs[0]).startswith("local_"):
                names |= _variables(node.line.rhs[0])
            for condition in _conditions(node):
                if _counts_letters(condition.parts):
                    names |= condition.variables
        for _ in range(3):  # what a size is computed from
            for node in self._all:
                if node.sets and node.assigned() & names:
                    names |= set[str]().union(*map(_variables, node.line.rhs))
        return names

    def _hoped_conditions(self, tree: list[_Node]) -> list[_Condition]:
        """Return upper bounds that are asserted at the end: of a sum, say. They are hoped for all the time."""
        found = [condition for node in tree for condition in _conditions(node)]
        return [each for each in found if _compares(each.parts) and str(each.parts.op) in ("<", "<=")]

    # -- statements --

    def block(self, nodes: list[_Node], loop: _Loop | None, depth: int) -> list[_Part]:
        """Return the code of statements, in parts."""
        parts: list[_Part] = []
        for place, node in enumerate(nodes):
            if str(node.line) == "else:":
                continue  # it is a part of the IF before it
            part = self._part(nodes, place, loop, depth)
            if _has_else(nodes, place):
                part = _joined(part, self._part(nodes, place + 1, loop, depth))
            begins = [at for at, each in enumerate(parts) if each.assigned & part.open]
            begins = [at for at in begins if not any(each.fixed for each in parts[at:])]
            if part.open and begins and max(each.nested for each in [*parts[begins[0] :], part]) < _MOST_NESTED:
                parts[begins[0] :] = [_tried([*parts[begins[0] :], part], node.first)]
            else:
                parts.append(part)
        return parts

    def _part(self, nodes: list[_Node], place: int, loop: _Loop | None, depth: int) -> _Part:
        node = nodes[place]
        line = node.line
        if node.is_read:
            return self._read(nodes, place, loop, depth)
        if node.is_assertion or (isinstance(line, If) and _conditions(node) and not _has_else(nodes, place)):
            lines = [str(line), *_indented([str(each.line) for each in node.body])]
            wanted = set[str]().union(*(each.variables for each in _conditions(node)))
            return _Part(lines, open=wanted)
        if not node.body:
            return _Part([str(line)], assigned=node.assigned(), fixed=str(line) == "break")
        inner_loop, inner_depth, header = loop, depth, str(line)
        if isinstance(line, For):
            inner_loop, inner_depth = _Loop(node.body), depth + 1
            header = f"for _ in {'turns' if line.range.startswith('range') else 'turns_while'}({_count(line.range)}):"
        inner = self.block(node.body, inner_loop, inner_depth)
        outside = set[str]().union(*(each.open for each in inner))
        return _Part(
            [header, *_indented([each for part in inner for each in part.lines])],
            assigned=node.assigned(),
            reads=any(each.reads for each in inner),
            open=outside,
            nested=1 + max((each.nested for each in inner), default=0),
            fixed=_begins_turn(node),
            tries=_OUTER_TRIES,
        )

    def _read(self, nodes: list[_Node], place: int, loop: _Loop | None, depth: int) -> _Part:
        node = nodes[place]
        command = _read_command(node.line)
        assert command is not None
        variable = node.line.lhs[0] if _assigns(node.line) else None
        name = None if variable is None else variable.name
        site = _Read(len(self.sites), is_size=name in self._sizes, depth=depth)
        self.sites.append(site)
        key, site.apart = self._key(variable, node)
        site.compared = [] if variable is None else self._narrowing(nodes, place, loop, site, variable)
        low_and_high = command.arguments[:2] if _name(command) != b"REGEX" else []
        site.chained = loop is not None and any(self._carried(each, node, loop, variable) for each in low_and_high[:1])
        arguments = ", ".join([f"site_{site.number}", key, *map(str, command.arguments)])
        code = f"{_name(command).decode()}({arguments})"
        moving = set[str]().union(*map(_variables, low_and_high)) if self._may_be_empty(low_and_high) else set()
        assigned = {name} if name else set()
        open_ = moving | {other for other in site.apart if name in assigned}
        return _Part([f"{variable} = {code}" if variable else code], assigned, reads=True, open=open_)

    def _may_be_empty(self, bounds: Sequence[Term]) -> bool:
        """Return whether a range may have no values: its least one is computed."""
        return bool(bounds) and bool(_variables(bounds[0]))

    def _key(self, variable: Variable | None, node: _Node) -> tuple[str, tuple[str, ...]]:
        """Return the code of the key of a variable, and the variables from which a read of it must differ."""
        if variable is None:
            return "None", ()
        key = "None" if variable.arguments is None else f"({', '.join(map(str, variable.arguments))},)"
        for group in self._unique:
            if variable.name in group:
                last = {
                    each: max(n.first for n in self._all if each in n.assigned() and not n.body)
                    for each in group
                    if any(each in n.assigned() and not n.body for n in self._all)
                }
                if len(last) == len(group) and last[variable.name] == max(last.values()) == node.first:
                    return key, (variable.name, *(each for each in group if each != variable.name))
        return key, ()

    def _carried(self, what: Term, node: _Node, loop: _Loop, variable: Variable | None) -> bool:
        """Return whether an expression uses what this turn of the loop changes for the next one."""
        names = _variables(what)
        for each in (inner for top in loop.body for inner in _walk(top)):
            if each.first > node.first and not each.body and each.assigned() & names:
                return True
        return variable is not None and variable.arguments is not None and variable.name in names

    # -- comparisons that a read decides --

    def _narrowing(
        self, nodes: list[_Node], place: int, loop: _Loop | None, site: _Read, variable: Variable
    ) -> list[tuple[str, str, bool, bool]]:
        """Return (function, operator, whether it is carried, whether it adds up) of each comparison."""
        found = []
        between: list[str] = []
        changed = {variable.name}
        for node in nodes[place + 1 :]:
            if node.sets:
                between.append(str(node.line))
                changed |= node.assigned()
                pending = [each for each in self._hoped if each.variables & node.assigned()]
            else:
                pending = _conditions(node)
                if not pending and (node.body or (node.is_read and node.assigned() & changed)):
                    break
            later = set[str]().union(
                *(each.assigned() for each in nodes[place + 1 :] if each.is_read and each.first < node.first)
            )
            for condition in pending:
                names = condition.variables
                if not names & changed or names & later or not _compares(condition.parts):
                    continue
                carried = loop is not None and any(
                    each.first > nodes[place].first and not each.body and each.assigned() & (names - {variable.name})
                    for top in loop.body
                    for each in _walk(top)
                )
                carried = carried or _other_key(condition.parts, variable)
                function = self._function(variable, between, condition)
                found.append((function, str(condition.parts.op), carried, bool(between)))
        return found

    def _function(self, variable: Variable, between: list[str], condition: _Condition) -> str:
        name = f"compared_{len(self.functions)}"
        test = condition.parts
        guard = [f"if not ({condition.guard}):", "    return None"] if condition.guard is not None else []
        body = [
            "mark = began()",
            "try:",
            *_indented([f"{variable} = value", *between, *guard, f"return {test.lhs}, {test.rhs}"]),
        ]
        body += ["finally:", "    undo(mark)"]
        self.functions.append("\n".join([f"def {name}(value):", *_indented(body)]))
        return name


def _walk(node: _Node) -> Iterator[_Node]:
    yield node
    for each in node.body:
        yield from _walk(each)


def _test(atom: Term, name: bytes) -> Command | None:
    while isinstance(atom, Expression) and atom.op is None:
        atom = atom.lhs
    return atom if isinstance(atom, Command) and _name(atom) == name else None


def _compares(what: Term) -> bool:
    return isinstance(what, Expression) and str(what.op) in _COMPARED and what.lhs is not None


def _counts_letters(what: Term) -> bool:
    if isinstance(what, Command):
        return _name(what) == b"STRLEN"
    return isinstance(what, Expression) and (_counts_letters(what.lhs) or _counts_letters(what.rhs))


def _other_key(what: Term, variable: Variable) -> bool:
    """Return whether an expression uses another entry of the array of `variable`."""
    if isinstance(what, Variable):
        return what.name == variable.name and str(what) != str(variable)
    return isinstance(what, Expression) and (_other_key(what.lhs, variable) or _other_key(what.rhs, variable))


def _has_else(nodes: list[_Node], place: int) -> bool:
    return place + 1 < len(nodes) and str(nodes[place + 1].line) == "else:"


def _begins_turn(node: _Node) -> bool:
    """Return whether it is written before the commands of a loop: its end, and what is between turns."""
    return isinstance(node.line, If) and (str(node.body[0].line) == "break" or str(node.line) == "if _ > 0:")


def _count(range_: str) -> str:
    return range_.removeprefix("range(").removeprefix("count(").removesuffix(")")


def _indented(lines: Sequence[str]) -> list[str]:
    return [f"    {line}" for each in lines for line in each.split("\n")]


def _joined(part: _Part, other: _Part) -> _Part:
    """Return an IF with its ELSE."""
    return _Part(
        [*part.lines, *other.lines],
        assigned=part.assigned | other.assigned,
        reads=part.reads or other.reads,
        open=part.open | other.open,
        nested=max(part.nested, other.nested),
        tries=_OUTER_TRIES,
    )


def _tried(parts: list[_Part], number: int) -> _Part:
    """Return the code that tries some parts until their assertions hold."""
    tries = min(each.tries for each in parts)
    body = ["try:", *_indented([line for each in parts for line in each.lines]), "    break"]
    body += ["except NotDrawn as why:", f"    again(mark_{number}, why)"]
    lines = [f"mark_{number} = part_begun({tries})", "while True:", *_indented(body), f"part_ended(mark_{number})"]
    assigned = set[str]().union(*(each.assigned for each in parts))
    nested = 2 + max(each.nested for each in parts)
    open_ = set[str]().union(*(each.open for each in parts)) - assigned
    return _Part(lines, assigned, reads=True, open=open_, nested=nested, tries=tries)


# -- drawing --------------------------------------------------------------------------------------------------


class _Variable:
    """A variable or an array. Changes are recorded while they may have to be undone."""

    __slots__ = ("data", "entries", "free", "log", "name", "value_count")

    def __init__(self, name: str, log: list[Change]) -> None:
        self.name = name
        self.log = log
        self.data: Value | None = None
        self.entries: dict[Key, Value] = {}
        self.value_count: dict[Value, int] = {}
        self.free: dict[
            tuple[int | bytes, ...], dict[int, int]
        ] = {}  # row beside it -> a taken number -> the next one that may be free

    def reset(self) -> None:
        self.log.append((self, _Variable, (self.data, self.entries, self.value_count, self.free)))
        self.data, self.entries, self.value_count, self.free = None, {}, {}, {}

    def __getitem__(self, key: Key) -> Value:
        if key is None:
            if self.data is None:
                raise NotDrawn(f"{self.name} is not assigned")
            return self.data
        try:
            return self.entries[key]
        except KeyError:
            raise NotDrawn(f"missing key in {self.name}") from None

    def __setitem__(self, key: Key, value: Value) -> None:
        if key is None:
            self.log.append((self, None, self.data))
            self.data = value
            return
        old = self.entries.get(key)
        self.log.append((self, key, old))
        self._put(key, old, value)

    def _put(self, key: Key, old: Value | None, value: Value | None) -> None:
        counts = self.value_count
        if old is not None:
            counts[old] -= 1
            if not counts[old]:
                del counts[old]
        if value is None:
            self.entries.pop(key, None)
        else:
            self.entries[key] = value
            counts[value] = counts.get(value, 0) + 1

    def take_back(self, key: Any, old: Any) -> None:
        if key is None:
            self.data = old
        elif key is _Variable:
            self.data, self.entries, self.value_count, self.free = old
        else:
            self._put(key, self.entries.get(key), old)


class Grammar:
    """A grammar that draws inputs.

    Args:
        text: the grammar. Raises what `checktestdata` raises if it is wrong.
        known: words and lines of the samples, for regular expressions.
    """

    def __init__(self, text: bytes, known: Sequence[bytes] = ()) -> None:
        self._known = known
        parser = parse_grammar(tokenize(text))
        writer = _Writer(_tree(parser.lines))
        code = [line for part in writer.block(_tree(parser.lines), None, 0) for line in part.lines]
        self.source = "\n".join([*writer.functions, "def drawn():", *_indented(code)])
        self._log: list[Change] = []
        self._variables = {name: _Variable(each.name, self._log) for name, each in parser.variables.items()}
        self._names: dict[str, Any] = {
            **parser.constants,
            **{name: each for name, each in vars(lib).items() if not name.startswith("_")},
            **{f"site_{site.number}": site for site in writer.sites},
            **_commands(self),
            **self._variables,
        }
        exec(compile(self.source, "grammar", "exec"), self._names)
        self._sites = writer.sites
        self.of = Choices(Random(0), "", "tiny")
        self._work = 0

    def draw(self, seed: int, size: str) -> tuple[bytes, str]:
        """Return an input, and how it was drawn. Raises NotDrawn."""
        most: int | None = None
        why = NotDrawn("nothing was tried")
        self._work = 0
        for restart in range(_RESTARTS):
            self._begin(
                Choices(Random(f"{seed}/{size}/{restart}"), f"{seed // _VALUES}/{restart}", size, most, self._known)
            )
            try:
                self._names["drawn"]()
                self._work += self.of.reads
                return b"".join(self.of.out), f"{size}: {', '.join(self.of.told[:6])}"
            except TooMuch as error:
                why, most = error, 1000 if most is None else most // 10
            except (NotDrawn, TypeError, ArithmeticError, ValueError, RecursionError) as error:
                why = NotDrawn(str(error) or type(error).__name__)
            self._work += self.of.reads
            if self._work > _WORK:
                break
        raise why

    def _begin(self, choices: Choices) -> None:
        self.of = choices
        self._parts = 0
        self.promised: list[tuple[bytes, bool]] = []
        self._ends: dict[int, int] = {}
        for each in self._variables.values():
            each.data, each.entries, each.value_count, each.free = None, {}, {}, {}
        self._log.clear()
        for site in self._sites:
            site.taken = {}

    # -- parts that are tried again --

    def began(self) -> int:
        """Return the place in the record of changes."""
        return len(self._log)

    def undo(self, mark: int) -> None:
        """Take the changes back, down to a place in the record."""
        log = self._log
        while len(log) > mark:
            variable, key, old = log.pop()
            variable.take_back(key, old)

    def part_begun(self, tries: int) -> list[int]:
        """Begin a part that is tried several times. Return its mark."""
        self._parts += 1
        return [len(self._log), len(self.of.out), len(self.of.loops), tries, len(self.promised), self._parts]

    def part_ended(self, mark: list[int]) -> None:
        """End a part: its assertions hold."""
        self._parts -= 1
        if not self._parts:
            self._log.clear()

    def again(self, mark: list[int], why: NotDrawn) -> None:
        """Go back to the beginning of a part. Raises `why` after the last try."""
        mark[3] -= 1
        if isinstance(why, TooMuch) or not mark[3] or self.of.reads + self._work > _WORK:
            self._parts = mark[5] - 1
            raise why
        self._parts = mark[5]
        self.undo(mark[0])
        del self.of.out[mark[1] :], self.of.loops[mark[2] :], self.promised[mark[4] :]

    # -- loops --

    def turns(self, count: Number) -> Iterator[int]:
        """Yield the turns of a loop. Raises TooMuch."""
        total = int(count)
        loops = self.of.loops
        depth = len(loops)
        if self.of.reads + total > 10**6:
            raise TooMuch(f"a loop of {total} turns")
        turn = [0, total]
        loops.append(turn)
        for number in range(total):
            turn[0] = number
            if not self._parts:
                self._log.clear()
            yield number
        del loops[depth:]

    def turns_while(self, _: object) -> Iterator[int]:
        """Yield the turns of a loop whose end is not known."""
        loops = self.of.loops
        turn = [0, 1]
        loops.append(turn)
        while True:
            yield turn[0]
            turn[0] += 1
            turn[1] += 1
            self.of.count_read()

    # -- what is written --

    def write(self, text: bytes) -> None:
        """Write a part of the input. Raises NotDrawn if another next letter was promised."""
        for letters, inside in self.promised:
            if (text[:1] in letters) != inside:
                raise NotDrawn("the next letter is another one")
        if text:
            self.promised.clear()
        self.of.out.append(text)

    def string(self, text: String) -> None:
        """Write a text."""
        self.write(text.value)

    def space(self) -> None:
        """Write a space."""
        self.write(b" ")

    def newline(self) -> None:
        """Write a line end."""
        self.write(b"\n")

    def end(self) -> None:
        """End the input. Raises NotDrawn if more was promised."""
        for letters, inside in self.promised:
            if letters is _ANY and inside:
                raise NotDrawn("the end was not to be here")

    def match(self, letters: String) -> Boolean:
        """Decide whether the next letter is one of these. It becomes one."""
        inside = self.of.random.random() < 0.5
        self.promised.append((letters.value, inside))
        return Boolean(inside)

    def is_end(self) -> Boolean:
        """Decide whether the input ends here. It does then."""
        turn = self.of.loops[-1][0] if self.of.loops else 0
        if turn == 0:
            self._ends[len(self.of.loops)] = self.of.whole(_TURNS, 0, 10**5)
        over = turn >= self._ends.get(len(self.of.loops), 0)
        self.promised.append((_ANY, not over))
        return Boolean(over)

    # -- what is read --

    def integer(self, site: _Read, key: Key, low: Number, high: Number, constraint: str | None = None) -> Number:
        """Draw a whole number."""
        self.of.count_read()
        value = self._number(site, key, low.value, high.value)
        self.write(b"%d" % value)
        return Number(value)

    def _number(self, site: _Read, key: Key, low: int, high: int) -> int:
        if low > high:
            raise NotDrawn(f"a range from {low} to {high}")
        up: bool | None = True if site.chained else None
        if site.compared:
            low, high, carried = self._narrowed(site, low, high, Number)
            up = carried if carried is not None else up
        if up is None or not self.of.loops:
            value = self.of.whole(site, low, high)
        else:
            value = self.of.chained(site, low, high, up=up)
        apart = site.apart
        return self._free(site, key, apart, value, low, high) if apart else value

    def _narrowed(
        self, site: _Read, low: int, high: int, made: Callable[[int], Number | String]
    ) -> tuple[int, int, bool | None]:
        """Return the values that the comparisons allow, and whether they lead up; None: they are not carried."""
        up: bool | None = None
        for name, operator, carried, adds in site.compared:
            function = self._names[name]

            def difference(
                value: int, function: Callable[[Value], tuple[Value, Value] | None] = function
            ) -> Rational | None:
                pair = function(made(value))
                if pair is None or type(pair[0]) is not Number or type(pair[1]) is not Number:
                    return None
                found: Rational = pair[0].value - pair[1].value
                return found

            if operator == "==" and low <= site.root <= high and difference(site.root) == 0:
                low = high = site.root
                continue
            first, last = difference(low), difference(high)
            if first is None or last is None:
                continue
            if carried and self.of.loops:
                helps = (last > first) == (operator in (">", ">="))
                up = adds or helps
            if operator == "==":
                if first * last <= 0 and low < high:
                    at = _root(difference, low, high, first, last)
                    if at is not None:
                        low = high = site.root = at
                continue
            holds = _HOLDS[operator]
            if holds(first) == holds(last):
                continue
            edge = _edge(difference, holds, low, high, first, last)
            low, high = (low, edge) if holds(first) else (edge, high)
        return low, high, up

    def _free(self, site: _Read, key: Key, apart: Sequence[str], value: int, low: int, high: int) -> int:
        """Return a value from `low` to `high` that is not taken yet, near `value`."""
        array, others = self._variables[apart[0]], [self._variables[each] for each in apart[1:]]
        beside = tuple(each[key].value for each in others)
        free = array.free.setdefault(beside, {})
        for first in (value, low):
            path = []
            at = first
            while at in free:
                path.append(at)
                at = free[at]
            for each in path:
                free[each] = at
            if at <= high:
                free[at] = at + 1
                return at
        if beside:
            raise NotDrawn(f"no value is left for {array.name}")
        for at in range(low, high + 1):
            if Number(at) not in array.value_count:
                return at
        raise NotDrawn(f"no value is left for {array.name}")

    def floating(self, site: _Read, key: Key, low: Number, high: Number, *options: lib.FLOAT_OPTION) -> Number:
        """Draw a number with some decimals."""
        return self._float(site, key, low, high, self.of.random.choice((0, 1, 2, 3, 6)), options)

    def fixed(
        self, site: _Read, key: Key, low: Number, high: Number, fewest: Number, most: Number, *options: lib.FLOAT_OPTION
    ) -> Number:
        """Draw a number with a number of decimals in a range."""
        return self._float(site, key, low, high, self.of.random.randint(fewest.value, min(most.value, 20)), options)

    def _float(
        self, site: _Read, key: Key, low: Number, high: Number, decimals: int, options: Sequence[lib.FLOAT_OPTION]
    ) -> Number:
        self.of.count_read()
        scale = 10**decimals
        least, most = -((-Fraction(low.value) * scale) // 1), (Fraction(high.value) * scale) // 1
        value = Fraction(self._number(site, key, int(least), int(most)), scale)
        text = format(Decimal(value.numerator) / Decimal(value.denominator), f".{decimals}f")
        if any(each is lib.FLOAT_OPTION.SCIENTIFIC for each in options):
            text = format(Decimal(text), f".{max(decimals, 1)}e")
        self.write(text.encode())
        return Number(Fraction(Decimal(text)))

    def word(self, site: _Read, key: Key, pattern: String) -> String:
        """Draw a word of a regular expression."""
        self.of.count_read()
        compiled = site.patterns.get(pattern.value)
        if compiled is None:
            compiled = site.patterns[pattern.value] = lib._compile_regex(pattern.value)
        lengths = None
        if site.compared:
            low, high, _ = self._narrowed(site, 0, 10**6, lambda length: String(b"a" * length))
            lengths = None if (low, high) == (0, 10**6) else (low, high)
        for _ in range(20):
            word = self.of.word(site, compiled, lengths)
            if not site.apart or self._is_new(site, key, word):
                break
        self.write(word)
        self.of.reads += len(word) // 16
        return String(word)

    def _is_new(self, site: _Read, key: Key, word: bytes) -> bool:
        apart = site.apart
        array, others = self._variables[apart[0]], [self._variables[each] for each in apart[1:]]
        if not others:
            return String(word) not in array.value_count
        beside = (*(each[key].value for each in others), word)
        taken = site.taken
        if beside in taken and taken[beside] in array.entries and array.entries[taken[beside]].value == word:
            return False
        taken[beside] = key
        return True

    def check(self, holds: Boolean) -> None:
        """Raise NotDrawn unless the assertion holds."""
        if not holds.value:
            raise NotDrawn("an assertion failed")

    def unset(self, *variables: _Variable) -> None:
        """Empty variables."""
        for each in variables:
            each.reset()

    def unique(self, *variables: _Variable) -> Boolean:
        """Return whether all rows of these arrays differ."""
        first = variables[0]
        if len(variables) == 1:
            return Boolean(len(first.value_count) == len(first.entries))
        rows = [
            tuple(each.entries[key] for each in variables)
            for key in first.entries
            if all(key in each.entries for each in variables)
        ]
        return Boolean(len(set(rows)) == len(rows))

    def in_array(self, value: Number | String, array: _Variable) -> Boolean:
        return Boolean(value in array.value_count or (array.data is not None and array.data.value == value.value))


_ANY = bytes(range(256))
_TURNS = Site(-1, is_size=True)
_HOLDS: dict[str, Callable[[Rational], bool]] = {
    "<": lambda difference: difference < 0,
    "<=": lambda difference: difference <= 0,
    ">": lambda difference: difference > 0,
    ">=": lambda difference: difference >= 0,
}


def _commands(grammar: Grammar) -> dict[str, object]:
    """Return what the written code calls."""
    own = ("turns", "turns_while", "began", "undo", "part_begun", "part_ended", "again")
    return {
        "NotDrawn": NotDrawn,
        **{name: getattr(grammar, name) for name in own},
        "STRING": grammar.string,
        "SPACE": grammar.space,
        "NEWLINE": grammar.newline,
        "EOF": grammar.end,
        "MATCH": grammar.match,
        "ISEOF": grammar.is_end,
        "INT": grammar.integer,
        "FLOAT": grammar.floating,
        "FLOATP": grammar.fixed,
        "REGEX": grammar.word,
        "ASSERT": grammar.check,
        "UNSET": grammar.unset,
        "UNIQUE": grammar.unique,
        "INARRAY": grammar.in_array,
    }


def _edge(
    difference: Callable[[int], Rational | None],
    holds: Callable[[Rational], bool],
    low: int,
    high: int,
    first: Rational,
    last: Rational,
) -> int:
    """Return the last value at which a comparison still holds, from the end at which it does."""

    def told(at: int) -> bool:
        value = difference(at)
        if value is None:
            raise NotDrawn("a comparison of what are no numbers")
        return holds(value)

    at_low = holds(first)
    if last != first:  # it is linear, mostly
        guess = low + int(-first * (high - low) // (last - first))
        for at in (guess - 1, guess, guess + 1, guess + 2):
            if low <= at < high and told(at) != told(at + 1):
                return at if at_low else at + 1
    right, wrong = (low, high) if at_low else (high, low)
    while abs(right - wrong) > 1:
        middle = (right + wrong) // 2
        right, wrong = (middle, wrong) if told(middle) else (right, middle)
    return right


def _root(
    difference: Callable[[int], Rational | None], low: int, high: int, first: Rational, last: Rational
) -> int | None:
    """Return where the difference is 0, if it goes one way; None if nowhere."""
    for at, value in ((low, first), (high, last)):
        if value == 0:
            return at
    while high - low > 1:
        middle = (low + high) // 2
        told = difference(middle)
        if told is None or told == 0:
            return None if told is None else middle
        low, high = (middle, high) if (told > 0) == (first > 0) else (low, middle)
    return None


def main(text: bytes, known: Sequence[bytes]) -> int:
    """Draw what standard input asks for, a line each: a seed and a size. Return the exit code."""
    sys.setrecursionlimit(10**6)
    try:
        grammar = Grammar(text, known)
    except Exception as error:
        print(f"the grammar cannot be drawn from: {error}", file=sys.stderr)
        return 2
    out, written = sys.stdout.buffer, 0
    for line in sys.stdin:
        seed, size = line.split()
        try:
            data, told = grammar.draw(int(seed), size)
            out.write(b"%d %s\n%s\n" % (len(data), told.encode(), data))
            written += len(data)
        except NotDrawn as why:
            out.write(b"-1 %s\n\n" % " ".join(str(why).split())[:200].encode())
        out.flush()
        if written > _MOST_OUT or time.process_time() > _MOST_S:
            break
    return 0
