"""Which part of what a model wrote is the program."""

import pytest

from balancer.judge import code_in, program_in

_A, _B = "print(1)\n", "print(2)\n"


def _fenced(code: str, tag: str = "python", fence: str = "```") -> str:
    return f"{fence}{tag}\n{code}{fence}\n"


@pytest.mark.parametrize(
    ("completion", "code"),
    [
        (_fenced(_A), _A),
        (f"Words.\n\n{_fenced(_A)}\nMore words.", _A),
        (_fenced(_A, "Python3"), _A),
        (_fenced(_A, "py title=x.py"), _A),
        (_fenced(_A, "{.python}"), _A),
        (_fenced(_A, ""), _A),
        (_fenced(_A, "python", "~~~~"), _A),
        ("  ```python\r\nprint(1)\r\n  ```\r\n", _A),
        # the last block counts, and a tag of the language more than none
        (_fenced(_A) + _fenced(_B), _B),
        (_fenced(_A) + _fenced("1 2\n", ""), _A),
        (_fenced("1 2\n", "") + _fenced(_B, ""), _B),
        (_fenced(_A) + _fenced("int main() {}\n", "cpp"), _A),
        # a fence within a longer one is text
        (_fenced("s = '''\n```\n'''\n", "python", "````"), "s = '''\n```\n'''\n"),
        # indented, as in an item of a list
        (
            "1. So:\n   ```python\n   for i in x:\n       print(i)\n\n  pass\n   ```\n",
            "for i in x:\n    print(i)\n\npass\n",
        ),
        # cut off
        (f"```python\n{_A}", _A),
        # thoughts
        (f"<think>\n{_fenced(_B)}</think>\n{_fenced(_A)}", _A),
        (f"{_fenced(_B)}</think>\n{_fenced(_A)}", _A),
        (f"<think>a</think>{_fenced(_B)}<think>b</think>\n{_fenced(_A)}", _A),
        (f"{_fenced(_A)}<THINK>\n{_fenced(_B)}", _A),
        (f"<reasoning>\n{_fenced(_B)}</reasoning>\n{_fenced(_A)}", _A),
        # no fence
        (_A, _A),
        ("import sys\nprint(sys.stdin.read())", "import sys\nprint(sys.stdin.read())"),
        ("def f(x):\n    return x", "def f(x):\n    return x"),
        ("a, b = map(int, input().split())", "a, b = map(int, input().split())"),
    ],
)
def test_the_program(completion: str, code: str) -> None:
    assert code_in(completion) == code


@pytest.mark.parametrize(
    "completion",
    [
        "",
        "I do not know.",
        "If you want, print it. For example, by hand.",
        _fenced("int main() {}\n", "cpp"),
        _fenced("\n \n"),
        f"<think>\n{_fenced(_A)}",
        f"{_fenced(_A)}</think>\nI give up.",
        "<think>" * 1000 + "\n```" * 1000,
    ],
)
def test_no_program(completion: str) -> None:
    assert code_in(completion) is None
    assert program_in(completion) is None


def test_other_languages() -> None:
    both = _fenced(_A) + _fenced("#include <cstdio>\n", "c++")
    assert code_in(both, "cpp") == "#include <cstdio>\n"
    assert code_in("#include <cstdio>\nint main() {}", "cpp") is not None
    assert code_in("print(1)", "cpp") is None
    assert code_in(_fenced(_A), "pypy") == _A
    program = program_in(_fenced("x\n", "cobol"), "cobol", "a.cob")
    assert program is not None
    assert (program.language, program.source, program.name) == ("cobol", "x\n", "a.cob")


def test_it_takes_no_longer_for_being_hostile() -> None:
    for text in ("`" * 200_000, "```\n" * 50_000, "~~~python\n" * 50_000, "<think>" * 50_000, "= " * 100_000):
        code_in(text)
