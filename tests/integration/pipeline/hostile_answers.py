"""Answers of a model that are wrong or hostile, by the name that hostile_answers.md gives them."""

import json
from typing import Any

__all__ = ["ANSWERS", "CHECKERS", "REFUSALS"]

_PRINTS = "import sys\nprint(sys.argv[2], sys.argv[2])\n"


def _program(source: str, commands: list[str] | None = None, **more: Any) -> str:
    generator = {"language": "python", "source": source}
    return json.dumps({"generator": generator, "commands": commands or ["small 1"], **more})


def _with(aid: str, source: str, language: str = "python") -> str:
    return json.dumps({"inputs": ["5 7\n"], aid: {"language": language, "source": source}})


_TRIES = "try:\n    {}\nexcept OSError:\n    raise SystemExit('not allowed')\n"
_WHILE = "while True:\n    pass\n"

# What is answered for a problem whose right solutions agree. Its text, or None for 100 MB.
ANSWERS: dict[str, str | None] = {
    "nothing at all": "",
    "prose": "Here are some nice cases: 1 and 2, then 3 and 4.",
    "JSON of the wrong types": '{"commands": {"small": 1}}',
    "a million inputs": json.dumps({"inputs": ["1 1"] * 10**6}),
    "a thousand commands": json.dumps({"commands": ["small"] * 1000}),
    "100 MB": None,
    "an answer without any input": '{"generator": null, "commands": [], "inputs": []}',
    "half a character": '{"inputs": ["\\ud800"]}',
    "arrays in arrays, 100 000 deep": '{"inputs": ' + "[" * 100_000,
    "a program in another language": _with("validator", "rm -rf /", "bash"),
    "inputs that are not valid": json.dumps({"inputs": ["rm -rf /\n", "\0", "1\n", "x" * 10**5]}),
    "an input aimed at nobody": json.dumps({"aimed": [{"survivor": "../../etc/passwd", "input": "x\n"}]}),
    "a generator that is no program": _program("def f(:\n"),
    "a generator that prints nothing": _program("pass"),
    "a generator that waits for input": _program("print(input())"),
    "a generator that ignores its arguments": _program("print('x')", ["small 1", "small 2", "small 3"]),
    "a generator that prints without end": _program("while True:\n    print('1' * 10**6)\n"),
    "a generator that sleeps for ever": _program("import time\ntime.sleep(10**6)\n"),
    "a generator that computes for ever": _program(_WHILE),
    "a generator that takes all memory": _program("x = 'x' * 10**11\n"),
    "a fork bomb": _program(
        "import os, time\n"
        "try:\n    while True:\n        if os.fork() == 0:\n            time.sleep(9)\n"
        "except OSError:\n    raise SystemExit('no more processes')\n"
    ),
    "a generator that writes elsewhere": _program(_TRIES.format("open('/etc/passwd', 'w').write('me')")),
    "a generator that reads the password file": _program(_TRIES.format("print(open('/etc/shadow').read())")),
    "a generator that calls home": _program(
        "import socket\n" + _TRIES.format("socket.create_connection(('1.1.1.1', 80), 1)")
    ),
    "a generator that kills process 1": _program(
        "import os, signal\n"
        "try:\n    os.kill(1, signal.SIGKILL)\n"
        "except OSError:\n    pass\n"
        "raise SystemExit('still here')\n"
    ),
    "commands for a shell": _program(
        "import sys\nprint(' '.join(sys.argv[1:]))\n", ["; touch /tmp/pwned", "$(id)", "a | b > c && d"]
    ),
    "a command with a NUL byte": _program(_PRINTS, ["small\0 1"]),
    "a command with an open quotation": _program(_PRINTS, ["small '1"]),
    "a validator that refuses everything": _with("validator", "import sys\nsys.exit(43)\n"),
    "a validator that accepts everything": _with("validator", "import sys\nsys.exit(42)\n"),
    "a validator that crashes": _with("validator", "x = 1 / 0\n"),
    "a validator that computes for ever": _with("validator", _WHILE),
    "a checker where none is wanted": _with("checker", "import sys\nsys.exit(42)\n"),
}

_COMPARES = """import sys
given = open(sys.argv[1]).read().split()
said = sys.stdin.read().split()
"""

# What is answered for a problem with many right answers, where a checker is wanted.
CHECKERS: dict[str, str] = {
    "a checker that accepts everything": _with("checker", "import sys\nsys.exit(42)\n"),
    "a checker that rejects everything": _with("checker", "import sys\nsys.exit(43)\n"),
    "a checker that crashes": _with("checker", "x = 1 / 0\n"),
    "a checker that computes for ever": _with("checker", _WHILE),
    "a checker that accepts all but an empty output": _with(
        "checker", "import sys\nsys.exit(42 if sys.stdin.read().split() else 43)\n"
    ),
    "a checker that accepts any two numbers": _with(
        "checker",
        _COMPARES + "sys.exit(42 if len(said) == 2 and all(x.lstrip('-').isdigit() for x in said) else 43)\n",
    ),
    "a checker that crashes on an empty output": _with(
        "checker", _COMPARES + "sys.exit(42 if int(said[0]) + int(said[1]) == int(given[0]) else 43)\n"
    ),
}

REFUSALS: dict[str, str] = {"a refusal": "I must not help with contests."}
