"""Tests of data sets: their forms, read as cases.

Decides what a test means. A test whose meaning is not certain raises: a score of 0 would blame the program for it.
Forms, as JSON text or as its parsed value:

- `{"inputs": [...], "outputs": [...]}`: standard input and output (APPS, TACO, CodeContests in verl). A list of texts
  as an input or output holds its lines. With `"fn_name": "f"`: calls. Then an input is a list of arguments, or a text
  with one JSON argument a line. An output is the value, a list that holds only the value, or its JSON.
  Its lists may be named `"input"` and `"output"` (CodeContests).
- `[{"input": ..., "output": ...}, ...]`: the same, one table a case (LiveCodeBench, open-r1). Both may be in tables:
  `{"input": {"stdin": ...}, "output": {"stdout": ...}}` (CodeContests-O). `"fn_name"` is in the
  tables, in their `"metadata"`, or beside them. With `"testtype": "functional"`, input and output are JSON.
- a row of APPS or TACO: its column `"input_output"` has the first form.
- a table with the tests in `"ground_truth"`, as verl's `reward_model`.
- one of these as LiveCodeBench packs it: in a pickle, compressed, as base64. It is not unpickled.
"""

import base64
import json
import pickletools
import re
import zlib
from ast import literal_eval
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from typing import Any, Literal, TypeAlias

from balancer.judging.cases import CallCase, StdinCase, shown

__all__ = ["cases_of_tests", "named_function"]

_KNOWN = 'known are {"inputs": [...], "outputs": [...]} and [{"input": ..., "output": ...}]'
_NAMES = ("fn_name", "func_name")
_KINDS = ("testtype", "type")  # keys that say how a test is run
_STDIN = frozenset({"stdin", "stdin_stdout", "stdio", "std", "standard_input"})
_CALL = frozenset({"functional", "function_call", "function", "call", "call_based"})
_WHOLE = re.compile("-?[0-9]{1,18}")

_MOST_PACKED = 2**30  # bytes of one text
_TEXT = frozenset({"UNICODE", "SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8"})  # operations: one of these, and these:
_AROUND = frozenset({"PROTO", "FRAME", "PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE", "STOP"})
_OPERATIONS = 16  # at most; pickles of a text have up to 5
_PACKED = re.compile(r"e[A-Za-z0-9+/]{7}")  # how compressed bytes begin in base64

Kind: TypeAlias = Literal["stdin", "call"]


@dataclass(frozen=True, slots=True)
class HowToRun:
    """How tests are run, as far as they and their surroundings say.

    Attributes:
        kind: None if nothing says it.
        function: to call; None if nothing names it.
        exact: whether inputs and outputs are JSON, and nothing else.
    """

    kind: Kind | None = None
    function: str | None = None
    exact: bool = False

    def within(self, where: str, table: Mapping[str, Any]) -> "HowToRun":
        """Return what `table` says; where it says nothing, this holds. Raises ValueError."""
        kind = self.kind
        for key in _KINDS:
            if told := table.get(key):
                word = str(told).lower().replace("-", "_").replace(" ", "_")
                kind = "stdin" if word in _STDIN else "call" if word in _CALL else None
                if kind is None:
                    known = ", ".join(sorted(_STDIN | _CALL))
                    raise ValueError(f"{where}: {key} is {shown(told)}; known are {known}")
                break
        return HowToRun(
            kind, named_function(where, table) or self.function, self.exact or table.get("testtype") == "functional"
        )

    def case(self, where: str, given: Any, wanted: Any) -> StdinCase | CallCase:
        """Return the case of an input and an output. Raises ValueError."""
        given, wanted = _plain(given), _plain(wanted)
        if self.kind == "stdin" or (self.kind is None and self.function is None):
            certain = self.kind == "stdin"
            return StdinCase(
                _text(f"{where}: the input", given, numbers=certain),
                _text(f"{where}: the output", wanted, numbers=certain or isinstance(given, str | bytes)),
            )
        if self.function is None:
            raise ValueError(
                f"{where}: it is a call, and no function is named; name it in fn_name, in func_name of metadata, "
                "or as function=NAME of Job.of and cases_of"
            )
        written = isinstance(given, str)  # the arguments are JSON, so the output is, too
        args = _args(where, given)
        if not self.exact and len(args) == 1:
            args = (_numbered(args[0]),)
        expected, others = _expected(where, wanted, written=written, exact=self.exact)
        return CallCase(self.function, args, expected, or_else=others)


def cases_of_tests(tests: Any, function: str | None = None) -> list[StdinCase | CallCase]:
    """Return the cases of `tests` from a data set.

    Args:
        tests: in one of the forms above.
        function: the function to call, if the tests do not name one. Tests that say that they are of standard input
            and output do not use it.

    Raises:
        ValueError: the form is not known, or it is not certain what a test means.
    """
    return _cases(tests, HowToRun(function=function or None))


def _cases(tests: Any, how: HowToRun) -> list[StdinCase | CallCase]:
    if isinstance(tests, str | bytes):
        if not tests.strip():
            raise ValueError("the row has no tests: its text is empty; leave the row out")
        if isinstance(tests, str) and _PACKED.match(tests):
            tests = _unpacked(tests)
        try:
            tests = json.loads(tests)
        except (ValueError, RecursionError):
            raise ValueError(f"the tests are not JSON: {str(tests)[:60]!r}; {_KNOWN}") from None
    tests = _plain(tests)
    if isinstance(tests, Mapping):
        return _of_table(tests, how)
    if not isinstance(tests, Iterable):
        raise ValueError(f"the tests are of type {type(tests).__name__}; {_KNOWN}")
    found = []
    for number, each in enumerate(tests):
        if not isinstance(each, Mapping) or "input" not in each or "output" not in each:
            raise ValueError(f"a test is {str(each)[:60]!r}; {_KNOWN}")
        where = f"tests[{number}]"
        given, wanted = _within(each["input"], "stdin"), _within(each["output"], "stdout")
        found.append(how.within(where, each).case(where, given, wanted))
    return found


def _within(found: Any, stream: str) -> Any:
    return found[stream] if isinstance(found, Mapping) and stream in found else found


def _of_table(tests: Mapping[str, Any], how: HowToRun) -> list[StdinCase | CallCase]:
    if tests.get("assert_case"):
        raise ValueError(f"the tests are assert statements (assert_case), which a program can forge; {_KNOWN}")
    how = how.within("the tests", tests)
    for nested in ("test_cases", "input_output", "ground_truth"):
        if nested in tests:
            return _cases(tests[nested], how)
    inputs, outputs = (_plain(tests.get(f"{name}s", tests.get(name))) for name in ("input", "output"))
    if not isinstance(inputs, list | tuple) or not isinstance(outputs, list | tuple):
        raise ValueError(f"the tests have the keys {sorted(map(str, tests))[:8]}; {_KNOWN}")
    if len(inputs) != len(outputs):
        raise ValueError(f"the tests have {len(inputs)} inputs and {len(outputs)} outputs; each input needs one")
    pairs = enumerate(zip(inputs, outputs, strict=True))
    return [how.case(f"tests[{number}]", given, wanted) for number, (given, wanted) in pairs]


def named_function(where: str, table: Mapping[str, Any]) -> str | None:
    """Return the function that `table` or its metadata names, if one does. Raises ValueError."""
    metadata = table.get("metadata")
    if isinstance(metadata, str):
        with suppress(
            ValueError, RecursionError
        ):  # metadata may be any text; a call whose name is not found is refused
            metadata = json.loads(metadata)
    for each in (table, metadata):
        if not isinstance(each, Mapping):
            continue
        for key in _NAMES:
            if name := each.get(key):
                if not isinstance(name, str):
                    raise ValueError(f"{where}: {key} is {shown(name)}; it must be the name of a function")
                return name
    return None


def _unpacked(text: str) -> str:
    """Return the text that LiveCodeBench packed in `text`. Raises ValueError, in one line.

    The pickle may come from anywhere, so it is not unpickled: it must be a single text, read off its operations.
    """
    try:
        inflater = zlib.decompressobj()
        data = inflater.decompress(base64.b64decode(text, validate=True), _MOST_PACKED)
        if inflater.unconsumed_tail:
            raise ValueError(f"it has more than {_MOST_PACKED // 2**20} MiB")
        operations = islice(pickletools.genops(data), _OPERATIONS)
        texts: list[Any] = []
        names: list[str] = []
        for opcode, value, _ in operations:
            names.append(opcode.name)
            if opcode.name in _TEXT:
                texts.append(value)
            elif opcode.name not in _AROUND:
                break
    except Exception as error:  # a broken pickle may raise anything
        why = f"{type(error).__name__}: {ascii(str(error))[1:-1][:100]}"
        raise ValueError(f"is neither JSON nor base64 of a compressed pickle: {why}") from None
    if names[-1] != "STOP" or len(texts) != 1:
        raise ValueError(f"its pickle has {', '.join(names)[-80:]}; it must hold a single text, of JSON")
    return str(texts[0])


def _args(where: str, given: Any) -> tuple[Any, ...]:
    if isinstance(given, str):
        return tuple(_json(where, line) for line in given.split("\n") if line.strip())
    if isinstance(given, list | tuple):
        return tuple(given)
    if isinstance(given, bool | int | float):
        return (given,)
    raise ValueError(
        f"{where}: the input of a call is {shown(given)}; it must be a list of arguments, "
        "or a text with one JSON argument a line"
    )


def _json(where: str, line: str) -> Any:
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        raise ValueError(
            f"{where}: the input of a call has the line {shown(line)}; each line must be one argument, as JSON"
        ) from None


def _numbered(arg: Any) -> Any:
    """Return `arg`; if all keys of an only argument are whole numbers in texts, they are numbers again.

    JSON made texts of them. Graders of APPS and TACO undo it in the same way.
    """
    if isinstance(arg, dict) and all(isinstance(key, str) and _WHOLE.fullmatch(key) for key in arg):
        return {int(key): value for key, value in arg.items()}
    return arg


def _expected(where: str, wanted: Any, *, written: bool, exact: bool) -> tuple[Any, tuple[Any, ...]]:
    """Return the right value, and the other right values. Raises ValueError."""
    others: list[Any] = []
    expected = wanted
    if isinstance(wanted, str):
        try:
            expected = json.loads(wanted)
        except (ValueError, RecursionError):
            if exact or (written and _is_python(wanted)):
                raise ValueError(f"{where}: the output of a call is {shown(wanted)}; it must be JSON") from None
        if expected != wanted:
            others.append(wanted)
    if exact:
        return expected, ()
    if isinstance(expected, list) and len(expected) == 1:  # APPS and TACO put the value into a list
        others += expected
    return expected, tuple(others)


def _is_python(text: str) -> bool:
    """Return whether `text` is a literal of Python: `True`, `None`, `(1, 2)`. Then it is hardly meant as a text."""
    try:
        literal_eval(text.strip())
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        return False
    return True


def _text(what: str, given: Any, *, numbers: bool) -> str | bytes:
    """Return a text of standard input or output. Raises ValueError if it may be something else.

    Args:
        what: names it in the error.
        given: a text, or a list of its lines.
        numbers: whether whole numbers may stand for texts, because it is certain that this is no call.
    """
    if isinstance(given, str | bytes):
        return given
    kinds = str | int if numbers else str
    lines = list(given) if isinstance(given, list | tuple) else [given] if numbers else [None]
    if all(isinstance(line, kinds) and not isinstance(line, bool) for line in lines) and (lines or numbers):
        return "\n".join(map(str, lines))
    raise ValueError(
        f"{what} is {shown(given)}; it must be a text, or a list of texts, its lines. If this is a call, name the "
        "function in fn_name, or as function=NAME of Job.of and cases_of"
    )


def _plain(value: Any) -> Any:
    """Return `value`; an array or number of NumPy, as Parquet readers give them, as a list or number of Python."""
    if type(value).__module__.partition(".")[0] == "numpy" and hasattr(value, "tolist"):
        return _plain(value.tolist())
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return value
