"""Read a checktestdata grammar: the template that it describes, and the bounds of each field.

Decides what of the language is understood: numbers, words, fixed texts, spaces, ends of lines, repetition. Where a
grammar uses more (IF, say) there is no template, and its bounds count in their order only. Nothing is executed. Pure.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from balancer.pipeline.generators.learn.formula import Formula, chains, plain
from balancer.pipeline.generators.learn.hints import Bounds
from balancer.pipeline.generators.learn.template import Count, LineNode, Node, Repeat

__all__ = ["Grammar", "read_grammar"]

_TOKEN = re.compile(r"#[^\n]*|\"(?:\\.|[^\"\\])*\"|[A-Za-z_]\w*|\d+(?:\.\d+)?(?:[eE][+-]?\d+)?|\s+|[^\s]", re.DOTALL)
_VALUES = frozenset({"INT", "FLOAT", "FLOATP", "REGEX", "STRING"})
_LOOPS = frozenset({"REP", "REPI", "WHILE", "WHILEI"})
_SILENT = frozenset({"SET", "UNSET", "ASSERT", "EOF"})


class _Beyond(Exception):
    """The grammar has something that no template has."""


@dataclass(frozen=True, slots=True)
class _Command:
    name: str
    arguments: tuple[str, ...] = ()
    body: "tuple[_Command, ...]" = ()


@dataclass(slots=True)
class Grammar:
    """What a grammar says.

    Attributes:
        nodes: the template; None if it has more than a template can say.
        bounds: of each field, by its number in the template; in the order of the text.
        regexes: of words, in the order of the text.
        texts: fixed words, by field.
        distinct: fields of which all values differ.
    """

    nodes: tuple[Node, ...] | None = None
    bounds: dict[int, Bounds] = field(default_factory=dict)
    regexes: list[str] = field(default_factory=list)
    texts: dict[int, str] = field(default_factory=dict)
    distinct: list[int] = field(default_factory=list)


def read_grammar(text: str) -> Grammar:
    """Read a grammar as far as it is understood."""
    tokens = [token for token in _TOKEN.findall(text) if not token.isspace() and not token.startswith("#")]
    try:
        commands, _ = _commands(tokens, 0)
        reader = _Reader()
        try:
            reader.grammar.nodes = reader.nodes(commands)
        except _Beyond:
            reader = _Reader()
            reader.gather(commands)
    except RecursionError:  # nested deeper than anybody writes
        return Grammar()
    return reader.grammar


def _commands(tokens: Sequence[str], at: int) -> tuple[tuple[_Command, ...], int]:
    """Read commands up to an END, or an ELSE, or the end of the text."""
    found: list[_Command] = []
    while at < len(tokens):
        name = tokens[at]
        if name in ("END", "ELSE"):
            return tuple(found), at + 1
        at += 1
        arguments: tuple[str, ...] = ()
        if tokens[at : at + 1] == ["("]:
            arguments, at = _arguments(tokens, at + 1)
        body: tuple[_Command, ...] = ()
        if name in _LOOPS or name == "IF":
            body, at = _commands(tokens, at)
        if name[:1].isalpha():
            found.append(_Command(name, arguments, body))
    return tuple(found), at


def _arguments(tokens: Sequence[str], at: int) -> tuple[tuple[str, ...], int]:
    found: list[list[str]] = [[]]
    depth = 1
    while at < len(tokens):
        token = tokens[at]
        at += 1
        depth += (token in "([") - (token in ")]") if len(token) == 1 else 0
        if depth == 0:
            break
        if token == "," and depth == 1:
            found.append([])
        else:
            found[-1].append(token)
    return tuple(" ".join(part) for part in found), at


class _Reader:
    def __init__(self) -> None:
        self.grammar = Grammar()
        self._next = 0
        self._named: dict[str, int] = {}

    def nodes(self, commands: Sequence[_Command]) -> tuple[Node, ...]:
        """Return the nodes of commands that make whole lines."""
        found: list[Node] = []
        fields: list[int] = []
        tail: tuple[int, Count | None] | None = None
        started = closed = False
        last = ""
        for command in commands:
            if command.name == "NEWLINE" and closed:
                closed = False  # the end of the last line of a block whose lines are kept apart
                continue
            if command.name in _SILENT:
                self._assertion(command)
            elif command.name == "NEWLINE":
                found.append(LineNode(tuple(fields), *(tail or ())))
                fields, tail, started = [], None, False
            elif command.name == "SPACE":
                started = True
            elif command.name in _LOOPS and not fields and not started and _has_lines(command):
                found.append(self._block(command))
                closed = "NEWLINE" in command.arguments[-1:]
            elif command.name in _LOOPS and tail is None:
                tail = self._list(command)
                if fields and command.body[:1] == (_Command("SPACE"),) and last == _values(command)[0].name:
                    tail = self._merged(fields.pop(), *tail)
            elif command.name in _VALUES and tail is None:
                fields.append(self._value(command))
                last = command.name
            else:
                raise _Beyond
        if fields or tail is not None:
            raise _Beyond
        return tuple(found)

    def gather(self, commands: Sequence[_Command]) -> None:
        """Gather the bounds of all values, in the order of the text."""
        for command in commands:
            if command.name in _VALUES:
                self._value(command)
            self.gather(command.body)

    def _block(self, command: _Command) -> Repeat:
        count, separator = self._count(command)
        body = command.body
        if separator == "NEWLINE":
            body = (*body, _Command("NEWLINE"))
        return Repeat(count, self.nodes(body))

    def _list(self, command: _Command) -> tuple[int, Count | None]:
        count, separator = self._count(command)
        values = _values(command)
        spaced = separator == "SPACE" or any(inner.name == "SPACE" for inner in command.body)
        if len(values) != 1 or values[0].name not in _VALUES or not spaced:
            raise _Beyond
        return self._value(values[0]), count

    def _merged(self, lead: int, tail: int, count: Count | None) -> tuple[int, Count | None]:
        """Make one list of a value and those that come after it, each with a space before it."""
        one, others = self.grammar.bounds.get(lead), self.grammar.bounds.pop(tail, None)
        if one is not None and others is not None:
            lows = [bound.low for bound in (one, others) if bound.low is not None]
            highs = [bound.high for bound in (one, others) if bound.high is not None]
            low, high = min(lows, default=None), max(highs, default=None)
            self.grammar.bounds[lead] = Bounds(low, high, one.weight, others.name or one.name, one.high_by)
        self._named = {name: lead if number == tail else number for name, number in self._named.items()}
        self._next = lead + 1
        return lead, None if count is None else Count(count.field, count.plus + 1)

    def _count(self, command: _Command) -> tuple[Count | None, str]:
        arguments = command.arguments[1:] if command.name in ("REPI", "WHILEI") else command.arguments
        if not arguments:
            raise _Beyond
        separator = arguments[1] if len(arguments) > 1 else ""
        if command.name.startswith("WHILE"):
            if "ISEOF" not in arguments[0]:
                raise _Beyond
            return None, separator
        formula = _formula(arguments[0])
        if formula is None:
            raise _Beyond
        constant = formula.of(dict.fromkeys(formula.names, 0)) or 0
        if not formula.names:
            return Count(None, constant), separator
        name = formula.names[0]
        if len(formula.names) > 1 or formula.of({name: 1}) != constant + 1 or formula.of({name: 5}) != constant + 5:
            raise _Beyond
        if name not in self._named:
            raise _Beyond
        return Count(self._named[name], constant), separator

    def _value(self, command: _Command) -> int:
        number = self._next
        self._next += 1
        arguments = command.arguments
        if command.name == "REGEX" and arguments:
            self.grammar.regexes.append(arguments[0].strip('"').replace("\\\\", "\\"))
        elif command.name == "STRING" and arguments:
            self.grammar.texts[number] = arguments[0].strip('"')
        elif len(arguments) > 1:
            low, high = _formula(arguments[0]), _formula(arguments[1])
            least = None if low is None else low.constant
            most = None if high is None else high.constant
            by = high if most is None else None
            place = 4 if command.name == "FLOATP" else 2
            name = _bare(arguments[place]) if len(arguments) > place else ""
            self.grammar.bounds[number] = Bounds(least, most, 1.2, name, by)
        named = {"INT": 2, "FLOAT": 2, "FLOATP": 4, "REGEX": 1, "STRING": 1}[command.name]
        if len(arguments) > named:
            self._named[_bare(arguments[named])] = number
        return number

    def _assertion(self, command: _Command) -> None:
        for name in re.findall(r"UNIQUE \( ([^)]*) \)", " ".join(command.arguments)):
            parts = [part.strip() for part in name.split(",")]
            if len(parts) == 1 and parts[0] in self._named:
                self.grammar.distinct.append(self._named[parts[0]])


def _values(command: _Command) -> list[_Command]:
    return [inner for inner in command.body if inner.name not in (*_SILENT, "SPACE")]


def _has_lines(command: _Command) -> bool:
    separators = command.arguments[-1:] if command.name in _LOOPS else ()
    inside = any(inner.name == "NEWLINE" or _has_lines(inner) for inner in command.body)
    return inside or "NEWLINE" in separators


def _bare(name: str) -> str:
    return name.split("[")[0].strip()


def _formula(text: str) -> Formula | None:
    """Read an expression; indexes are left out, as n[i] is the n of its own place."""
    bare = re.sub(r"\s*\[[^\]]*\]", "", text)
    found = next(chains(plain(f"{bare} <= 0")), None)
    return found.left[0] if found is not None and len(found.left) == 1 else None
