"""The `/test_program` and `/test_program_stdio` of open-instruct over a judge: a program, and which tests it passes.

A test of the first is Python code that runs after the program, in the same process, and must not raise. It is passed
only if the process says so at the end, by a token that it was given with the test: a program that ends early passes
nothing. A test of the second is a pair of input and output; lines are compared without surrounding blanks, and numbers
by their value.
"""

import base64
import binascii
import json
import secrets
import zlib
from collections.abc import Callable, Sequence
from contextlib import aclosing
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from pydantic import BaseModel, Field

from balancer.hookspecs import HttpAnswer, HttpCall
from balancer.judge.executed import Executed, ExecuteJob
from balancer.judge.gateway.plain_pickle import plain_values
from balancer.judge.gateway.requests import Gateway, Refused, json_answer, read
from balancer.judge.procedure import limits_for

__all__ = ["test_program", "test_program_stdio"]

_MOST_TESTS = 10_000
_LARGEST_BYTES = 64 * 2**20

_TESTED: Final = """\
import json, os, sys
_out = os.dup(1)
os.dup2(2, 1)
_fed = json.loads(sys.stdin.buffer.read())
_space = {"__builtins__": __builtins__}
exec(compile(_SOURCE, "program.py", "exec"), _space)
exec(compile(_fed["test"], "test.py", "exec"), _space)
os.write(_out, _fed["token"].encode())
"""

# Programs of its data sets expect these names.
_SCRIPT: Final = """\
import sys
_space = {"__name__": "__main__", "__builtins__": __builtins__}
exec(_NAMES, _space)
sys.setrecursionlimit(50_000)
exec(compile(_SOURCE, "program.py", "exec"), _space)
"""
_MODULES: Final = (
    "string", "re", "datetime", "collections", "heapq", "bisect", "copy", "math", "random", "statistics", "itertools",
    "functools", "operator", "io", "sys", "json", "builtins", "typing",
)  # fmt: skip
_NAMES: Final = "".join(f"from {each} import *\n" for each in _MODULES) + f"import {', '.join(_MODULES)}\n"


class TestRequest(BaseModel):
    """Body of a request. `tests`: a list, a text with it as JSON, or as base64 of a compressed pickle."""

    program: str
    tests: Any = None
    max_execution_time: float = Field(1.0, gt=0, le=3600, allow_inf_nan=False)


async def test_program(gateway: Gateway, call: HttpCall) -> HttpAnswer:
    """Answer `POST /test_program`. Raises Refused."""
    asked = read(call, TestRequest)
    tests = _tests_of(asked)
    for number, test in enumerate(tests):
        if not isinstance(test, str):
            raise Refused(422, f"tests.{number}: found {type(test).__name__}; it takes a text with Python code")
    tokens = [secrets.token_hex(16) for _ in tests]
    source = f"_SOURCE = {asked.program!r}\n{_TESTED}"
    limits = limits_for(asked.max_execution_time)
    jobs = [
        ExecuteJob(source, json.dumps({"test": test, "token": token}), limits=limits)
        for test, token in zip(tests, tokens, strict=True)
    ]
    return await _answer(gateway, call, jobs, lambda done: done.stdout == tokens[done.number], asked.max_execution_time)


async def test_program_stdio(gateway: Gateway, call: HttpCall) -> HttpAnswer:
    """Answer `POST /test_program_stdio`. Raises Refused."""
    asked = read(call, TestRequest)
    tests = _tests_of(asked)
    for number, test in enumerate(tests):
        if not isinstance(test, dict) or not all(isinstance(test.get(key), str) for key in ("input", "output")):
            raise Refused(422, f"tests.{number}: it takes an object with the texts input and output")
    source = f"_SOURCE = {asked.program!r}\n_NAMES = {_NAMES!r}\n{_SCRIPT}"
    limits = limits_for(asked.max_execution_time)
    jobs = [ExecuteJob(source, test["input"], limits=limits) for test in tests]
    return await _answer(
        gateway, call, jobs, lambda done: _same(done.stdout, tests[done.number]["output"]), asked.max_execution_time
    )


async def _answer(
    gateway: Gateway, call: HttpCall, jobs: Sequence[ExecuteJob], passes: Callable[[Executed], bool], most_s: float
) -> HttpAnswer:
    results: list[int] = []
    runtimes: list[float] = []
    async with aclosing(gateway.execute_all(call, jobs)) as ended:
        async for executed in ended:
            passed = executed.went_well and passes(executed)
            results.append(int(passed))
            runtimes.append(min(executed.time_s, most_s) if passed else -1.0)
    return json_answer({"results": results, "runtimes": runtimes})


def _tests_of(asked: TestRequest) -> list[Any]:
    """Return the tests. Raises Refused: what cannot be read must not count as no tests, or as tests that failed."""
    found = asked.tests or []
    if isinstance(found, str):
        found = _read(found)
    if not isinstance(found, list):
        raise Refused(422, f"tests: found {type(found).__name__}; it takes a list")
    if len(found) > _MOST_TESTS:
        raise Refused(422, f"tests has {len(found)} entries; at most {_MOST_TESTS} are allowed")
    return found


def _read(text: str) -> Any:
    try:
        return json.loads(text)
    except RecursionError:
        raise Refused(422, "tests: the JSON is nested too deeply") from None
    except ValueError:
        pass
    try:
        packed = base64.b64decode(text, validate=True)
        unpacker = zlib.decompressobj()
        data = unpacker.decompress(packed, _LARGEST_BYTES)
        if unpacker.unconsumed_tail or not unpacker.eof:
            raise ValueError(f"it ends too early, or has more than {_LARGEST_BYTES} bytes")
        return plain_values(data)
    except (binascii.Error, zlib.error, ValueError) as error:
        raise Refused(422, f"tests: neither JSON nor base64 of a compressed pickle: {error}") from None


def _same(printed: str, expected: str) -> bool:
    ours, theirs = printed.strip().split("\n"), expected.strip().split("\n")
    return len(ours) == len(theirs) and all(map(_same_line, ours, theirs))


def _same_line(printed: str, expected: str) -> bool:
    if printed.strip() == expected.strip():
        return True
    try:
        return [Decimal(each) for each in printed.split()] == [Decimal(each) for each in expected.split()]
    except InvalidOperation:
        return False
