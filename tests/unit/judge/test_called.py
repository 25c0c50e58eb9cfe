"""Functions of solutions, called by the program that does so, in a process of its own."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from balancer.judge import CallCase, Program, StdinCase, Verdict
from balancer.judging.cases import case_of
from balancer.problem import Checker
from tests.patience import PATIENCE_S


def _run(source: str, case: CallCase, folder: Path) -> tuple[Verdict, str]:
    """Return the verdict on what it prints, and what it says on standard error."""
    run = case.run_of(Program("python", source))
    ended = subprocess.run(
        [sys.executable, "-c", run.program.source], input=run.stdin, capture_output=True, cwd=folder, timeout=PATIENCE_S
    )
    words = ended.stderr.decode()
    if ended.returncode:
        return Verdict.RUN_TIME_ERROR, words
    return run.compare(Checker(), ended.stdout, run.answer).verdict, words


@pytest.mark.parametrize(
    ("source", "case"),
    [
        ("class Solution:\n    def f(self):\n        return inf", CallCase("Solution.f", [], float("inf"))),
        # a name that the prelude has as well is the solution's
        ("class Solution:\n    def add(self, a, b):\n        return a * b", CallCase("add", [3, 4], 12)),
        (
            "def f():\n    return (1, (2, 3)), {1: {3, 2}}, range(2), deque([4])",
            CallCase("f", [], [[1, [2, 3]], {"1": [2, 3]}, [0, 1], [4]]),
        ),
        ("def f(n):\n    return 0 if n == 0 else 1 + f(n - 1)", CallCase("f", [20_000], 20_000)),
        ("def f(*, k):\n    return k", CallCase("f", [], "é\ud800", {"k": "é\ud800"})),
        # keys that are no texts stay what they are
        (
            "def f(a, *, k):\n    return a[1] + k[0][2.5][(3)]",
            CallCase("f", [{1: 2, "x": {}}], 5, {"k": [{2.5: {3: 3}}]}),
        ),
        # what it prints is not what it returns, and it is no script
        ("import os\ndef f():\n    print('9')\n    os.system('echo 8')\n    return 1", CallCase("f", [], 1)),
        ("def f():\n    return 1\nif __name__ == '__main__':\n    print(f(input()))", CallCase("f", [], 1)),
        ("def f(xs):\n    xs[0] = 5\n    return xs", CallCase("f", [[1]], [5])),
        ("'é \\\\ \"\"\" '\ndef f():\n    return '\\\\'", CallCase("f", [], "\\")),
    ],
)
def test_right(source, case, tmp_path):
    verdict, words = _run(source, case, tmp_path)
    assert verdict is Verdict.ACCEPTED, words


@pytest.mark.parametrize(
    "source",
    [
        "def f():\n    raise ValueError(1)",
        "def g():\n    return 1",
        "def f(:",
        "import os\nos._exit(0)",
        "import os\ndef f():\n    os.write(1, b'1')\n    os._exit(0)",
        "class A:\n    def __eq__(self, o):\n        return True\ndef f():\n    return A()",
        "class A(int):\n    def __eq__(self, o):\n        return True\n    __hash__ = None\ndef f():\n    return A(7)",
        "def f():\n    return float('nan')",
        "import json\njson.dumps = lambda *a, **k: ''\ndef f():\n    return 1",
    ],
)
def test_wrong(source, tmp_path):
    assert _run(source, CallCase("f", [], 1), tmp_path)[0] in (Verdict.WRONG_ANSWER, Verdict.RUN_TIME_ERROR)


def test_the_right_value_is_not_there_to_be_found():
    case = CallCase("f", [], "a value that nobody guesses", or_else=("another one",))
    run = case.run_of(Program("python", "def f(): pass"))
    assert "nobody guesses" not in run.program.source + run.stdin.decode()
    assert "another" not in run.program.source + run.stdin.decode()
    assert json.loads(run.answer) == ["a value that nobody guesses", "another one"]


def test_cases():
    assert case_of(("1", b"2")) == StdinCase("1", b"2")
    run = StdinCase("é", b"\xff", {"a": b"1"}, ("x",)).run_of(Program("python", ""))
    assert (run.stdin, run.answer, run.program.args) == ("é".encode(), b"\xff", ("x",))
