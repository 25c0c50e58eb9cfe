"""Grammar draws: a checktestdata grammar run backwards. Each of its reads draws.

The library `checktestdata` turns a grammar into Python code. This module rewrites that code.
An assertion, and the reads just before it whose variables it has, are tried several times. Grammars that look at what
comes next (MATCH, ISEOF, WHILE) cannot be drawn from.

It runs in the sandbox, as a part of the program that `drawer` packs: a grammar is not trusted.
"""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction
from functools import partial
from itertools import takewhile
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
Undo: TypeAlias = Callable[[], None]
_READS = (b"INT", b"FLOAT", b"FLOATP", b"REGEX")


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


@dataclass(slots=True, eq=False)
class _Read(Site):
    """A read of the grammar, with its compiled regular expressions."""

    patterns: dict[bytes, re.Pattern[bytes]] = field(default_factory=dict)


def _asserted(node: _Node) -> list[_Node]:
    """Return the assertions of a statement: itself, or those of an IF that has nothing else."""
    if node.is_assertion:
        return [node]
    if isinstance(node.line, If) and node.body and all(each.is_assertion for each in node.body):
        return node.body
    return []


def _tested(node: _Node) -> set[str]:
    """Return the names of the variables in the assertions of a statement."""
    names = _variables(node.line.condition) if isinstance(node.line, If) else set()
    return names.union(*(_variables(each.line.arguments[0]) for each in _asserted(node)))


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


class _Writer:
    """Writes the code that draws, and the sites of a grammar."""

    def __init__(self, tree: list[_Node]) -> None:
        self.sites: list[_Read] = []
        self._all = [node for top in tree for node in _walk(top)]
        self._sizes = self._size_names()

    def _size_names(self) -> set[str]:
        names: set[str] = set()
        for node in self._all:
            if isinstance(node.line, Assignment) and str(node.line.lhs[0]).startswith("local_"):
                names |= _variables(node.line.rhs[0])
            if any(_counts_letters(each.line.arguments[0]) for each in _asserted(node)):
                names |= _tested(node)
        for _ in range(3):  # what a size is computed from
            for node in self._all:
                if node.sets and node.assigned() & names:
                    names |= set[str]().union(*map(_variables, node.line.rhs))
        return names

    def block(self, nodes: list[_Node], loop: list[_Node], depth: int) -> list[_Part]:
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

    def _part(self, nodes: list[_Node], place: int, loop: list[_Node], depth: int) -> _Part:
        node = nodes[place]
        line = node.line
        if node.is_read:
            return self._read(node, loop, depth, _told_length(nodes, place))
        if _asserted(node) and not _has_else(nodes, place):
            lines = [str(line), *_indented([str(each.line) for each in node.body])]
            return _Part(lines, open=_tested(node))
        if not node.body:
            return _Part([str(line)], assigned=node.assigned(), fixed=str(line) == "break")
        inner_loop, inner_depth, header = loop, depth, str(line)
        if isinstance(line, For):
            inner_loop, inner_depth = node.body, depth + 1
            header = f"for _ in turns({line.range.removeprefix('range(').removesuffix(')')}):"
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

    def _read(self, node: _Node, loop: list[_Node], depth: int, length: str) -> _Part:
        command = _read_command(node.line)
        assert command is not None
        variable = node.line.lhs[0] if _assigns(node.line) else None
        name = None if variable is None else variable.name
        site = _Read(len(self.sites), is_size=name in self._sizes, depth=depth)
        self.sites.append(site)
        ends = [] if _name(command) == b"REGEX" else command.arguments[:2]
        site.chained = any(self._carried(each, node, loop, variable) for each in ends[:1])
        arguments = ", ".join([f"site_{site.number}", *map(str, command.arguments), *filter(None, [length])])
        code = f"{_name(command).decode()}({arguments})"
        # A range may have no values if its least one is computed.
        moving = set[str]().union(*map(_variables, ends)) if any(map(_variables, ends[:1])) else set()
        return _Part([f"{variable} = {code}" if variable else code], {name} if name else set(), reads=True, open=moving)

    def _carried(self, what: Term, node: _Node, loop: list[_Node], variable: Variable | None) -> bool:
        """Return whether an expression uses what this turn of the loop changes for the next one."""
        names = _variables(what)
        for each in (inner for top in loop for inner in _walk(top)):
            if each.first > node.first and not each.body and each.assigned() & names:
                return True
        return variable is not None and variable.arguments is not None and variable.name in names


def _walk(node: _Node) -> Iterator[_Node]:
    yield node
    for each in node.body:
        yield from _walk(each)


def _told_length(nodes: list[_Node], place: int) -> str:
    """Return the code of the length of a word that is read, if the next assertion tells it; else ""."""
    ours = nodes[place].assigned()
    after = takewhile(lambda each: isinstance(each.line, Command) and not each.is_read, nodes[place + 1 :])
    for test in (_bare(each.line.arguments[0]) for each in after if each.is_assertion):
        if isinstance(test, Expression) and test.op == "==":
            for counted, told in ((_bare(test.lhs), test.rhs), (_bare(test.rhs), test.lhs)):
                counts = isinstance(counted, Command) and _counts_letters(counted)
                if counts and _variables(counted) & ours and not _variables(told) & ours:
                    return f"length={told}"
    return ""


def _bare(what: Term) -> Term:
    """Return an expression without brackets."""
    while isinstance(what, Expression) and what.op is None:
        what = what.lhs
    return what


def _counts_letters(what: Term) -> bool:
    if isinstance(what, Command):
        return _name(what) == b"STRLEN"
    return isinstance(what, Expression) and (_counts_letters(what.lhs) or _counts_letters(what.rhs))


def _has_else(nodes: list[_Node], place: int) -> bool:
    return place + 1 < len(nodes) and str(nodes[place + 1].line) == "else:"


def _begins_turn(node: _Node) -> bool:
    """Return whether it is written before the commands of a loop: its end, and what is between turns."""
    return isinstance(node.line, If) and (str(node.body[0].line) == "break" or str(node.line) == "if _ > 0:")


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
    """A variable or an array. What undoes a change is kept while it may have to be undone."""

    __slots__ = ("data", "entries", "log", "name", "value_count")

    def __init__(self, name: str, log: list[Undo]) -> None:
        self.name = name
        self.log = log
        self.data: Value | None = None
        self.entries: dict[Key, Value] = {}
        self.value_count: dict[Value, int] = {}

    def reset(self) -> None:
        self.log.append(partial(self._become, self.data, self.entries, self.value_count))
        self._become(None, {}, {})

    def _become(self, data: Value | None, entries: dict[Key, Value], value_count: dict[Value, int]) -> None:
        self.data, self.entries, self.value_count = data, entries, value_count

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
            self.log.append(partial(setattr, self, "data", self.data))
            self.data = value
            return
        self.log.append(partial(self._put, key, self.entries.get(key)))
        self._put(key, value)

    def _put(self, key: Key, value: Value | None) -> None:
        counts, old = self.value_count, self.entries.get(key)
        if old is not None:
            counts[old] -= 1
            if not counts[old]:
                del counts[old]
        if value is None:
            self.entries.pop(key, None)
        else:
            self.entries[key] = value
            counts[value] = counts.get(value, 0) + 1


@dataclass(slots=True)
class _Mark:
    """Where a part began: lengths of the log, of what is written and of the loops; and the tries that are left."""

    log: int
    out: int
    loops: int
    parts: int
    tries: int


class Grammar:
    """A grammar that draws inputs.

    Args:
        text: the grammar. Raises what `checktestdata` raises if it is wrong.
        known: words and lines of the samples, for regular expressions.
    """

    def __init__(self, text: bytes, known: Sequence[bytes] = ()) -> None:
        self._known = known
        parser = parse_grammar(tokenize(text))
        tree = _tree(parser.lines)
        writer = _Writer(tree)
        code = [line for part in writer.block(tree, [], 0) for line in part.lines]
        self.source = "\n".join(["def drawn():", *_indented(code)])
        for name in ("MATCH(", "ISEOF(", "count("):  # the last one is a WHILE
            if name in self.source:
                raise ValueError("it looks at what comes next")
        self._log: list[Undo] = []
        self._variables = {name: _Variable(each.name, self._log) for name, each in parser.variables.items()}
        self._names: dict[str, Any] = {
            **parser.constants,
            **{name: each for name, each in vars(lib).items() if not name.startswith("_")},
            **{f"site_{site.number}": site for site in writer.sites},
            **_commands(self),
            **self._variables,
        }
        exec(compile(self.source, "grammar", "exec"), self._names)
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
                if restart % 2:  # large sizes may break a rule about their product
                    most = 1000 if most is None else most // 10
            self._work += self.of.reads
            if self._work > _WORK:
                break
        raise why

    def _begin(self, choices: Choices) -> None:
        self.of = choices
        self._parts = 0
        for each in self._variables.values():
            each.data, each.entries, each.value_count = None, {}, {}
        self._log.clear()

    # -- parts that are tried again --

    def part_begun(self, tries: int) -> _Mark:
        """Begin a part that is tried several times. Return its mark."""
        self._parts += 1
        return _Mark(len(self._log), len(self.of.out), len(self.of.loops), self._parts, tries)

    def part_ended(self, mark: _Mark) -> None:
        """End a part: its assertions hold."""
        self._parts -= 1
        if not self._parts:
            self._log.clear()

    def again(self, mark: _Mark, why: NotDrawn) -> None:
        """Go back to the beginning of a part. Raises `why` after the last try."""
        mark.tries -= 1
        if isinstance(why, TooMuch) or not mark.tries or self.of.reads + self._work > _WORK:
            self._parts = mark.parts - 1
            raise why
        self._parts = mark.parts
        while len(self._log) > mark.log:
            self._log.pop()()
        del self.of.out[mark.out :], self.of.loops[mark.loops :]

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

    # -- what is written --

    def write(self, text: bytes) -> None:
        """Write a part of the input."""
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
        """End the input."""

    # -- what is read --

    def integer(self, site: _Read, low: Number, high: Number, constraint: str | None = None) -> Number:
        """Draw a whole number."""
        self.of.count_read()
        value = self.of.whole(site, low.value, high.value)
        self.write(b"%d" % value)
        return Number(value)

    def floating(self, site: _Read, low: Number, high: Number, *options: lib.FLOAT_OPTION) -> Number:
        """Draw a number with some decimals."""
        return self._float(site, low, high, self.of.random.choice((0, 1, 2, 3, 6)), options)

    def fixed(
        self, site: _Read, low: Number, high: Number, fewest: Number, most: Number, *options: lib.FLOAT_OPTION
    ) -> Number:
        """Draw a number with a number of decimals in a range."""
        return self._float(site, low, high, self.of.random.randint(fewest.value, min(most.value, 20)), options)

    def _float(
        self, site: _Read, low: Number, high: Number, decimals: int, options: Sequence[lib.FLOAT_OPTION]
    ) -> Number:
        self.of.count_read()
        scale = 10**decimals
        least, most = -((-Fraction(low.value) * scale) // 1), (Fraction(high.value) * scale) // 1
        value = Fraction(self.of.whole(site, int(least), int(most)), scale)
        text = format(Decimal(value.numerator) / Decimal(value.denominator), f".{decimals}f")
        if any(each is lib.FLOAT_OPTION.SCIENTIFIC for each in options):
            text = format(Decimal(text), f".{max(decimals, 1)}e")
        self.write(text.encode())
        return Number(Fraction(Decimal(text)))

    def word(self, site: _Read, pattern: String, length: Number | None = None) -> String:
        """Draw a word of a regular expression."""
        self.of.count_read()
        compiled = site.patterns.get(pattern.value)
        if compiled is None:
            compiled = site.patterns[pattern.value] = lib._compile_regex(pattern.value)
        word = self.of.word(site, compiled, None if length is None else int(length))
        self.write(word)
        self.of.reads += len(word) // 16
        return String(word)

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


def _commands(grammar: Grammar) -> dict[str, object]:
    """Return what the written code calls."""
    own = ("turns", "part_begun", "part_ended", "again")
    return {
        "NotDrawn": NotDrawn,
        **{name: getattr(grammar, name) for name in own},
        "STRING": grammar.string,
        "SPACE": grammar.space,
        "NEWLINE": grammar.newline,
        "EOF": grammar.end,
        "INT": grammar.integer,
        "FLOAT": grammar.floating,
        "FLOATP": grammar.fixed,
        "REGEX": grammar.word,
        "ASSERT": grammar.check,
        "UNSET": grammar.unset,
        "UNIQUE": grammar.unique,
        "INARRAY": grammar.in_array,
    }


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
