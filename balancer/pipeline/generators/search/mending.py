"""Mending: changes a refused input until a Python validator accepts it. Its comparisons tell what to change.

This module is also a program. It runs in the sandbox, beside the validator, and imports nothing of this project. It
runs the validator on an input, records each comparison, and looks at the last ones before the refusal. One of them
decided. If `p <= size` failed with 7 and 3, a 7 of the input becomes a number up to 3; if `x in there` failed, an x
becomes one that is there. A change is kept if the validator gets as far as before. So relations that no sample
shows are kept too: what exists after earlier commands, derived counts, degrees, lines that alternate.
"""

from __future__ import annotations

import ast
import builtins
import io
import json
import operator
import random
import re
import signal
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, NamedTuple

__all__ = ["Ending", "Event", "TracedValidator", "anyhow", "change", "main", "mend", "replaced"]

_EVENTS = 48  # comparisons that are kept, the last ones
_ELEMENTS = 12  # elements of a container that are tried
_OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    "Eq": operator.eq,
    "NotEq": operator.ne,
    "Lt": operator.lt,
    "LtE": operator.le,
    "Gt": operator.gt,
    "GtE": operator.ge,
    "Is": operator.is_,
    "IsNot": operator.is_not,
    "In": lambda left, right: left in right,
    "NotIn": lambda left, right: left not in right,
}
_OPPOSITES = {"Lt": "GtE", "LtE": "Gt", "Gt": "LtE", "GtE": "Lt", "Eq": "NotEq", "NotEq": "Eq", "In": "NotIn"}
_OPPOSITES |= {"NotIn": "In"}
_MIRRORED = {"Lt": "Gt", "LtE": "GtE", "Gt": "Lt", "GtE": "LtE"}
_LEAST_WORK = 20  # bytes that a run costs in addition: about 20 us
_RUN_S = 1.0  # CPU seconds of one run of the validator
_DIGITS = 20  # longer tokens are no numbers
_FURTHER = (0, 1, 2, 5, 20)  # how far below or above a bound a value may be
_INSIDE = 0.7  # share of values anywhere between two bounds; the others are near one
_TOKEN = re.compile(r"\S+")
_GUIDED = 0.75  # share of the changes that a comparison tells
_PATIENCE = 60  # changes in a row that do not get the validator further
_KNOWN = 0.8  # share of valid candidates from which nothing needs mending
_BACK = 0.03  # share of the changes that are kept though the validator gets less far

Event = tuple[str, Any, Any, bool]


class Ending(NamedTuple):
    """How a run of the validator ended.

    Attributes:
        code: exit code; None if it did not end in time.
        events: the last comparisons: operator, left, right, result.
        made: how many comparisons were made.
        at: how many characters of the input were read.
    """

    code: int | None
    events: list[Event]
    made: int
    at: int


class _Late(BaseException):
    pass


class _Tracing(ast.NodeTransformer):
    """Replaces comparisons by calls that record them."""

    def visit_Compare(self, node: ast.Compare) -> ast.AST:
        self.generic_visit(node)
        if any(isinstance(each, (ast.NamedExpr, ast.Await, ast.Yield, ast.YieldFrom)) for each in ast.walk(node)):
            return node
        names: list[ast.expr] = [ast.Constant(type(each).__name__) for each in node.ops]
        if len(names) == 1:
            return _call("__compared__", [names[0], node.left, node.comparators[0]])
        nothing = ast.arguments(posonlyargs=[], args=[], kwonlyargs=[], kw_defaults=[], defaults=[])
        later: list[ast.expr] = [ast.Lambda(nothing, each) for each in node.comparators]
        return _call("__chained__", [ast.Tuple(names, ast.Load()), node.left, *later])


def _call(name: str, args: list[ast.expr]) -> ast.Call:
    return ast.Call(ast.Name(name, ast.Load()), args, [])


class _Text(io.TextIOWrapper):
    """Standard input that knows how much of it was read."""

    def __init__(self, data: bytes) -> None:
        self.bytes_read = io.BytesIO(data)
        super().__init__(self.bytes_read, encoding="utf-8", errors="surrogateescape", newline="\n")
        self.seen = 0

    def readline(self, size: int = -1, /) -> str:  # type: ignore[override]
        return self._counted(super().readline(size))

    def read(self, size: int | None = -1, /) -> str:
        return self._counted(super().read(size))

    def __next__(self) -> str:  # type: ignore[override]
        line = self.readline()
        if not line:
            raise StopIteration
        return line

    def readlines(self, hint: int = -1, /) -> list[str]:  # type: ignore[override]
        return list(self)

    def _counted(self, text: str) -> str:
        self.seen += len(text)
        return text


class TracedValidator:
    """A validator that is run many times in this process, with its comparisons recorded.

    Args:
        source: its text.
        args: its command-line arguments.

    Attributes:
        work: bytes of all inputs so far, and some more for each run.

    Raises:
        SyntaxError, ValueError: it cannot be read.
    """

    def __init__(self, source: str, args: Sequence[str] = ()) -> None:
        tree = _Tracing().visit(ast.parse(source))
        self._code = compile(ast.fix_missing_locations(tree), "validator.py", "exec", dont_inherit=True)
        self._args = ["validator.py", *args]
        self._events: deque[Event] = deque(maxlen=_EVENTS)
        self._made = 0
        self.work = 0

    def run(self, data: bytes) -> Ending:
        """Run it on an input."""
        self._events.clear()
        self._made = 0
        self.work += len(data) + _LEAST_WORK
        stdin = _Text(data)
        before = sys.stdin, sys.stdout, sys.stderr, sys.argv
        sys.stdin, sys.argv = stdin, list(self._args)
        sys.stdout, sys.stderr = io.TextIOWrapper(io.BytesIO()), io.TextIOWrapper(io.BytesIO())
        try:
            code = self._code_of(stdin)
        finally:
            sys.stdin, sys.stdout, sys.stderr, sys.argv = before
        return Ending(code, list(self._events), self._made, max(stdin.seen, _position(stdin)))

    def _code_of(self, stdin: _Text) -> int | None:
        signal.setitimer(signal.ITIMER_PROF, _RUN_S)
        try:
            exec(self._code, {"__name__": "__main__", "__builtins__": self._builtins(stdin)})
        except SystemExit as error:
            return 0 if error.code is None else error.code if isinstance(error.code, int) else 1
        except _Late:
            return None
        except BaseException:
            return 1
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
        return 0

    def _builtins(self, stdin: _Text) -> dict[str, Any]:
        def opened(file: Any, *args: Any, **named: Any) -> Any:
            return stdin if file in (0, "/dev/stdin") else open(file, *args, **named)

        def imported(name: str, *args: Any, **named: Any) -> Any:
            return _TracedRe(self._record) if name == "re" else builtins.__import__(name, *args, **named)

        def leave(code: Any = None) -> None:
            raise SystemExit(code)

        own = {"open": opened, "__import__": imported, "exit": leave, "quit": leave}
        return {**vars(builtins), **own, "__compared__": self._compared, "__chained__": self._chained}

    def _record(self, name: str, left: Any, right: Any, said: object) -> None:
        self._made += 1
        self._events.append((name, left, right, bool(said)))

    def _compared(self, name: str, left: Any, right: Any) -> Any:
        said = _OPERATORS[name](left, right)
        self._record(name, left, right, said)
        return said

    def _chained(self, names: Sequence[str], left: Any, *later: Callable[[], Any]) -> Any:
        said: Any = True
        for name, make in zip(names, later):  # noqa: B905 - of one length
            right = make()
            said = self._compared(name, left, right)
            if not said:
                break
            left = right
        return said


def _position(stdin: _Text) -> int:
    """Return how much of the bytes was read; 0 if text was read, as that is read ahead."""
    return 0 if stdin.seen or stdin.closed else stdin.bytes_read.tell()


class _TracedRe:
    """The module `re`, or a pattern, whose matches are recorded as comparisons."""

    def __init__(self, record: Callable[[str, Any, Any, object], None], pattern: re.Pattern[Any] | None = None) -> None:
        self._record = record
        self._pattern = pattern

    def __getattr__(self, name: str) -> Any:
        found = getattr(re if self._pattern is None else self._pattern, name)
        if name == "compile":
            return lambda pattern, flags=0: _TracedRe(self._record, re.compile(pattern, flags))
        if name not in ("match", "fullmatch", "search"):
            return found

        def matched(*args: Any, **named: Any) -> Any:
            said = found(*args, **named)
            pattern, text = (args[0], args[1]) if self._pattern is None and len(args) > 1 else (self._pattern, args[0])
            if isinstance(text, str):
                self._record(name, text, re.compile(pattern), said)
            return said

        return matched


# -- one change ------------------------------------------------------------------------------------------------


def change(text: str, ending: Ending, known: Sequence[str], rng: random.Random) -> str:
    """Return an input with one change, which the last comparisons suggest, or a random one where it was read last."""
    if ending.events and rng.random() < _GUIDED:
        back = min(int(rng.expovariate(0.7)), len(ending.events) - 1)
        name, left, right, said = ending.events[-1 - back]
        if back and rng.random() < 0.5:
            said = not said  # this one did not decide: other values with which it ends as it did
        pairs = list(_wanted((name, left, right, said), ending.events, known, rng))
        rng.shuffle(pairs)
        for off in (0, -1, 1):  # a validator that counts from 0 compares numbers less one
            for old, new in pairs:
                changed = replaced(text, old, new, ending.at, rng, off)
                if changed is not None and changed != text:
                    return changed
    return anyhow(text, ending.at, known, rng)


def _wanted(
    event: Event, events: Sequence[Event], known: Sequence[str], rng: random.Random
) -> Iterator[tuple[str, str]]:
    """Yield texts of the input with what they may become, so that the comparison ends otherwise."""
    name, left, right, said = event
    if name in ("match", "fullmatch", "search"):
        yield from ((left, each) for each in _matching(name, right, known, rng))
        return
    wanted = _OPPOSITES.get(name, "") if said else name
    if wanted in ("In", "NotIn"):
        yield from _member(left, right, wanted == "In", known, rng)
        return
    for one, other, how in ((left, right, wanted), (right, left, _MIRRORED.get(wanted, wanted))):
        old = _told(one)
        if old is None:
            continue
        if how == "Eq":
            new = _told(other)
            yield from [] if new is None else [(old, new)]
        elif how == "NotEq" or not (_is_int(one) and _is_int(other)):
            yield old, _another(old, known, rng)
        else:
            yield old, str(_within(one, other, how, events, rng))


def _matching(name: str, pattern: Any, known: Sequence[str], rng: random.Random) -> Iterator[str]:
    parts = [part for text in known for line in text.split("\n") for part in (line, *line.split())]
    for part in rng.sample(parts, min(len(parts), 40)):
        if part and getattr(pattern, name)(part):
            yield part


def _member(
    item: Any, container: Any, wanted: bool, known: Sequence[str], rng: random.Random
) -> Iterator[tuple[str, str]]:
    old = _told(item)
    if old is None:
        return
    if not wanted:
        yield old, _another(old, known, rng)
        return
    try:
        elements = sorted({told for each in container if (told := _told(each)) is not None})
    except TypeError:
        return
    yield from ((old, each) for each in rng.sample(elements, min(len(elements), _ELEMENTS)))


def _within(value: int, bound: int, how: str, events: Sequence[Event], rng: random.Random) -> int:
    """Return a number that a comparison with `bound` lets pass, within what it was compared with before."""
    low: int | None = None
    high: int | None = None
    if how in ("Lt", "LtE"):
        high = bound - (how == "Lt")
    else:
        low = bound + (how == "Gt")
    for name, left, right, said in events:
        kept = name if said else _OPPOSITES.get(name, "")
        if not (_is_int(left) and _is_int(right)):
            continue
        one, other = (left, right) if left == value else (right, left)
        kept = kept if left == value else _MIRRORED.get(kept, kept)
        if one != value:
            continue
        if kept in ("Lt", "LtE") and high is None:
            high = other - (kept == "Lt")
        if kept in ("Gt", "GtE") and low is None:
            low = other + (kept == "Gt")
    if low is not None and high is not None and low <= high and rng.random() < _INSIDE:
        return rng.randint(low, high)
    ends = [] if low is None else [low + rng.choice(_FURTHER)]
    ends += [] if high is None else [high - rng.choice(_FURTHER)]
    return rng.choice(ends)


def _is_int(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _told(value: object) -> str | None:
    """Return how a value would stand in an input; None if it would not."""
    if isinstance(value, bytes):
        value = value.decode("utf-8", "surrogateescape")
    if isinstance(value, str):
        return value.strip("\n") or None
    if _is_int(value):
        return str(value)
    if isinstance(value, (list, tuple)) and 1 < len(value) <= 1000:
        parts = [_told(each) for each in value]
        return None if None in parts else " ".join(part or "" for part in parts)
    return None


def _another(old: str, known: Sequence[str], rng: random.Random) -> str:
    """Return another token of the same kind."""
    number = _is_number(old)
    if number and rng.random() < 0.7:
        return str(int(old) + rng.choice((-1, 1, 1, 2, 3, 7, -2)))
    tokens = [token for text in known for token in text.split() if token != old]
    alike = [token for token in tokens if _is_number(token) == number]
    return rng.choice(alike or tokens or [old])


def replaced(text: str, old: str, new: str, at: int, rng: random.Random, off: int = 0) -> str | None:
    """Replace one place of `old`, most likely the last one that was read; None if there is none.

    `off` is added to both, which are numbers then.
    """
    number = _is_number(old)
    if off:
        if not (number and _is_number(new)):
            return None
        old, new = str(int(old) + off), str(int(new) + off)
    found = _places(text, re.compile(rf"(?<!\S){re.escape(old)}(?!\S)"), at)
    if not found and not number:
        found = _places(text, re.compile(re.escape(old)), at)
    if not found:
        return None
    start, end = found[min(int(rng.expovariate(0.5 if at < len(text) else 0.2)), len(found) - 1)]
    return text[:start] + new + text[end:]


def _is_number(token: str) -> bool:
    return token.removeprefix("-").isdecimal() and len(token) < _DIGITS


def _places(text: str, pattern: re.Pattern[str], at: int) -> list[tuple[int, int]]:
    """Return where it stands, those that were read last first."""
    found = [each.span() for each in pattern.finditer(text)]
    return [each for each in reversed(found) if each[0] < at] or found


def anyhow(text: str, at: int, known: Sequence[str], rng: random.Random) -> str:
    """Change a token or a line, near the last place that was read if not all was read."""
    if rng.random() < 0.6:
        spans = [each.span() for each in _TOKEN.finditer(text)]
        near = [each for each in spans if each[0] < at] or spans
        if not near:
            return text
        start, end = near[-1 - min(int(rng.expovariate(0.25 if at < len(text) else 0.05)), len(near) - 1)]
        return text[:start] + _another(text[start:end], known, rng) + text[end:]
    ended = text.endswith("\n")
    lines = text.removesuffix("\n").split("\n")
    row = text.count("\n", 0, max(at - 1, 0)) if at < len(text) else rng.randrange(len(lines))
    changed = "\n".join(_with_line(lines, min(row, len(lines) - 1), known, rng))
    return changed + "\n" if ended else changed


def _with_line(lines: list[str], row: int, known: Sequence[str], rng: random.Random) -> list[str]:
    """Change, remove or add a line. A line less may be counted in the first two lines."""
    found = [line for text in known for line in text.split("\n") if line]
    how = rng.randrange(5)
    if how == 0 and found:
        return [*lines[:row], rng.choice(found), *lines[row + 1 :]]
    if how == 1 and found:
        return [*lines[:row], rng.choice(found), *lines[row:]]
    if how == 2 and row:
        other = rng.randrange(row)
        return [*lines[:other], lines[row], *lines[other + 1 : row], lines[other], *lines[row + 1 :]]
    if len(lines) < 2:
        return lines
    left = [*lines[:row], *lines[row + 1 :]]
    counts = [(line, each) for line in range(min(2, len(left))) for each in _TOKEN.finditer(left[line])]
    numbers = [(line, each) for line, each in counts if each.group().isdigit() and 0 < int(each.group()) < 10**6]
    if how == 3 and numbers:
        line, each = rng.choice(numbers)
        left[line] = left[line][: each.start()] + str(int(each.group()) - 1) + left[line][each.end() :]
    return left


# -- an input --------------------------------------------------------------------------------------------------


def mend(
    validator: TracedValidator, text: str, accepts: int, known: Sequence[str], rng: random.Random
) -> tuple[str, int] | None:
    """Return an accepted input, and how many changes made it; None if none is found soon."""
    now, changes = validator.run(_bytes(text)), 0
    furthest, since = now.made, 0
    while now.code != accepts:
        if since > _PATIENCE:
            return None
        other = change(text, now, known, rng)
        then = validator.run(_bytes(other))
        since = 0 if then.made > furthest else since + 1
        furthest = max(furthest, then.made)
        if then.code == accepts or then.made >= now.made or rng.random() < _BACK:
            changes += other != text
            text, now = other, then
    return text, changes


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _mended(asked: dict[str, Any]) -> Iterator[tuple[str, int]]:
    """Yield the mended ones of the candidates, and changes of known inputs that were mended. Each is new.

    Nothing if most candidates are right as they are: then no relation is missing.
    """
    known: list[str] = asked["known"]
    rng = random.Random(asked["seed"])
    validator = TracedValidator(asked["source"], asked["args"])
    codes = {validator.run(_bytes(text)).code for text in known}
    if len(codes) != 1 or None in codes or 1 in codes:
        return  # it does not work here
    accepts = codes.pop()
    assert accepts is not None
    seen = {*known}
    right = sum(validator.run(_bytes(text)).code == accepts for text in asked["candidates"])
    if right >= _KNOWN * len(asked["candidates"]):
        return
    for text in _candidates(asked, known, rng):
        if validator.work > asked["work"]:
            return
        found = mend(validator, text, accepts, known, rng)
        if found is not None and found[1] and found[0] not in seen:
            seen.add(found[0])
            yield found


def _candidates(asked: dict[str, Any], known: Sequence[str], rng: random.Random) -> Iterable[str]:
    """Yield the candidates, and as many known inputs with a few random changes."""
    for text in asked["candidates"]:
        yield text
        changed = rng.choice(known)
        for _ in range(rng.choice((1, 2, 4, 8, 16))):
            changed = anyhow(changed, len(changed), known, rng)
        yield changed


def _late(*_: object) -> None:
    raise _Late


def main() -> None:
    """Read what is asked, as JSON, and write the mended inputs, as lines of JSON."""
    sys.setrecursionlimit(10_000)
    signal.signal(signal.SIGPROF, _late)
    asked = json.loads(sys.stdin.buffer.read())
    for text, changes in islice(_mended(asked), asked["wanted"]):
        print(json.dumps([text, changes]), flush=True)


if __name__ == "__main__":
    main()
