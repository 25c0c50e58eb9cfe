"""A traced validator: a Python validator that runs many times in one process, with its comparisons recorded.

Each run tells how it ended, the last comparisons before that, and how much of the input was read. This module imports
nothing of this project: it is a part of the program that `mending` is in the sandbox.
"""

from __future__ import annotations

import ast
import builtins
import io
import operator
import re
import signal
import sys
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

__all__ = ["Ending", "Event", "TracedValidator", "end_late_runs"]

_EVENTS = 48  # comparisons that are kept, the last ones
_LEAST_WORK = 20  # bytes that a run costs in addition: about 20 us
_RUN_S = 1.0  # CPU seconds of one run of the validator
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


def end_late_runs() -> None:
    """Let each run end when its CPU time is over: the signal SIGPROF of this process is used for that."""
    signal.signal(signal.SIGPROF, _late)


def _late(*_: object) -> None:
    raise _Late
