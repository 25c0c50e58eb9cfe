"""Which part of what a model wrote is the program: first the easy ones, then those that other extractors get wrong."""

import pytest

from balancer.judge import code_in, program_in

_A, _B = "print(1)\n", "print(2)\n"
_DOUBLE = "print(int(input())*2)"
_CPP = '#include <iostream>\nint main() {\n    std::cout << "```";\n}\n'


def _fenced(code: str, tag: str = "python", fence: str = "```") -> str:
    return f"{fence}{tag}\n{code}{fence}\n"


@pytest.mark.parametrize(
    ("completion", "code"),
    [
        (_fenced(_A), _A),
        (_fenced(_A, "python3.11"), _A),
        (_fenced(_A, "{.python}"), _A),
        (_fenced(_A, "python:main.py"), _A),
        (_fenced(_A, ""), _A),
        (_fenced(_A, "python", "~~~~"), _A),
        ("  ```python\r\nprint(1)\r\n  ```\r\n", _A),
        # the last block counts, and a tag of the language more than none
        (_fenced(_A) + _fenced(_B), _B),
        (_fenced("import sys\n" + _A) + _fenced(_B), _B),
        (_fenced(_A) + _fenced("1 2\n", ""), _A),
        (_fenced(_A) + _fenced("int main() {}\n", "cpp"), _A),
        (_fenced(_A) + "\n```python\n```", _A),
        # what it prints stands in a block without a tag as well, and is no program
        (f"{_fenced(_A, '')}\nIt prints:\n\n{_fenced('The answer is 1.', '')}", _A),
        (_fenced("3\n", "text") + _fenced(_A, ""), _A),
        # a tag that is no language; and one that is no program's
        (_fenced(_A, "Solution"), _A),
        # a fence within a longer one is text, and so is one in a string
        (_fenced("s = '''\n```\n'''\n", "python", "````"), "s = '''\n```\n'''\n"),
        (_fenced("print(\"```\")\nprint('a```')  # ``` b\n"), "print(\"```\")\nprint('a```')  # ``` b\n"),
        (
            _fenced('def f():\n    """Such as:\n    ```python\n    f()\n    ```\n    """\n    print(1)\n'),
            'def f():\n    """Such as:\n    ```python\n    f()\n    ```\n    """\n    print(1)\n',
        ),
        # a string that never ends is a mistake in the program, and no reason to miss its end
        (_fenced("s = '''a\n") + "Words.\n", "s = '''a\n"),
        # indented, as in an item of a list
        (
            "1. So:\n   ```python\n   for i in x:\n       print(i)\n\n  pass\n   ```\n",
            "for i in x:\n    print(i)\n\npass\n",
        ),
        ("- ```python\n  print(1)\n  ```\n", _A),
        ("```python\n    n = 1\n    print(n)\n```", "n = 1\nprint(n)\n"),
        (
            "> ```python\n> for i in x:\n>     print(i)\n>\n> print(1)\n> ```\n",
            "for i in x:\n    print(i)\n\nprint(1)\n",
        ),
        # a fence that is not alone on its line
        (f"Here it is: ```python\n{_A}```", _A),
        ("```python\nprint(1)``` This prints one.", "print(1)"),
        (f"So ```{_DOUBLE}``` it is.", f"{_DOUBLE}\n"),
        ("```python import sys\nprint(sys.argv)\n```", "import sys\nprint(sys.argv)\n"),
        # cut off
        (f"```python\n{_A}", _A),
        (f"```python\n{_A}``", _A),
        (f"{_fenced(_A)}<|eot_id|></s>\n", _A),
        # the block before was never closed
        (f"```python\nprint(\n\nOops. Again:\n\n{_fenced(_B)}", _B),
        # the prompt has opened the block; or it was closed and never opened
        (f"{_A}```\nFor example:\n```\n1\n```\n", _A),
        ("def f():\n    return 1\n```", "def f():\n    return 1\n"),
        # in a block of Markdown
        (f"````markdown\n# Title\n\n{_fenced(_A)}````", _A),
        # thoughts
        (f"{_fenced(_B)}</think>\n{_fenced(_A)}", _A),
        (f"<think>a</think>{_fenced(_B)}<think>b</think>\n{_fenced(_A)}", _A),
        (f"{_fenced(_A)}<THINK>\n{_fenced(_B)}", _A),
        (f"[THINK]{_fenced(_B)}[/THINK]{_fenced(_A)}", _A),
        (f"<think>\n```python\nprint(\n</think>\n{_fenced(_A)}", _A),
        (f"<think>Close it with `</think>`.</think>{_fenced(_A)}", _A),
        (_fenced("print('<think>', '</think>')\n"), "print('<think>', '</think>')\n"),
        # an answer
        (f"<answer>\n{_fenced(_A)}</answer>\nTo try it:\n{_fenced(_B)}", _A),
        (f"<answer>{_DOUBLE}</answer>", _DOUBLE),
        (f"<answer>\n```python\n{_A}</answer>", _A),
        (f"{_fenced(_A)}<answer>See above.</answer>", _A),
        (f"[PYTHON]\n{_A}[/PYTHON]\nIt prints.", _A),
        (f"<|begin_of_solution|>\n{_fenced(_A)}<|end_of_solution|>", _A),
        (_fenced("print('<answer>')\nprint(2)\n"), "print('<answer>')\nprint(2)\n"),
        # no fence
        (_A, _A),
        (f"`{_DOUBLE}`", _DOUBLE),
        (f"Answer: {_DOUBLE}", f"{_DOUBLE}\n"),
        ("import sys;print(int(sys.stdin.read())*2)", "import sys;print(int(sys.stdin.read())*2)"),
        (
            "for _ in range(int(input())): print(input()[::-1])",
            "for _ in range(int(input())): print(input()[::-1])",
        ),
        ("a, b = map(int, input().split())", "a, b = map(int, input().split())"),
        (f"Here is the program:\n\n{_DOUBLE}\n\nIt doubles its input.", f"{_DOUBLE}\n"),
        (
            "Sure!\n\n    n = int(input())\n    if n:\n        print(n)\n\nThat is it.",
            "n = int(input())\nif n:\n    print(n)\n",
        ),
        (
            "Answer:\nimport sys\n\ndef main():\n    '''It's so, isn't it?'''\n    print(1)\n\nmain()\nDone.",
            "import sys\n\ndef main():\n    '''It's so, isn't it?'''\n    print(1)\n\nmain()\n",
        ),
        (
            "# Read how many there are.\nt = int(input())\nmatch t:\n    case 1: print('no way')\n",
            "# Read how many there are.\nt = int(input())\nmatch t:\n    case 1: print('no way')\n",
        ),
        (
            "class Solution:\n    def f(self, a: List[int]) -> int:\n        return a[0] if a else -1",
            "class Solution:\n    def f(self, a: List[int]) -> int:\n        return a[0] if a else -1",
        ),
        ("x = {\n  'a': 1,\n  'b':\n  2,\n}\nprint(rb'x', f'{x!r}', u\"é\", x['a'] != 2)\n",) * 2,
        (
            "from math import (\n    gcd,\n    lcm as l)\nwhile True:\n"
            "    try: print(gcd(*map(int, input().split())))\n    except EOFError: break\n",
        )
        * 2,
    ],
)
def test_the_program(completion, code):
    assert code_in(completion) == code


@pytest.mark.parametrize(
    "completion",
    [
        "",
        "``````",
        "```python",
        "If you want, print it. For example, by hand.",
        "The function f(x) = x + 1 is what you are looking for: for x in range, while it is so.",
        "Let n = 3. Then print(n) gives 3.",
        "- print(x), which prints x\n- input(), which reads\n* open(file), of course",
        "x = 5",
        "f(x)",
        "答案是：print(x) 会输出",  # noqa: RUF001
        _fenced("int main() {}\n", "cpp"),
        _fenced("echo 1\n", "bash") + "print it",
        _fenced("\n \n"),
        f"<think>\n{_fenced(_A)}",
        f"{_fenced(_A)}</think>\nI give up.",
        "<answer>42</answer>",
        "The <code>print(x)</code> function prints.",
    ],
)
def test_no_program(completion):
    assert code_in(completion) is None
    assert program_in(completion) is None


@pytest.mark.parametrize(
    ("language", "completion", "code"),
    [
        ("cpp", _fenced(_A) + _fenced(_CPP, "c++"), _CPP),
        ("cpp", _fenced(_CPP, "C++17"), _CPP),
        ("cpp", _fenced(_CPP, ""), _CPP),
        ("cpp", _CPP, _CPP),
        ("cpp", f"Here is the program; it is short.\n\n{_CPP}\nIt prints three signs.", _CPP),
        ("cpp", f"{_CPP}```\nThat is it.", _CPP),
        ("java", "Words.\nimport java.io.*;\nclass Main {\n}\nWords.", "import java.io.*;\nclass Main {\n}\n"),
        ("go", "Words.\npackage main\n\nfunc main() {\n}\nWords.", "package main\n\nfunc main() {\n}\n"),
        ("rust", "Words.\nuse std::io;\nfn main() {\n}\nWords.", "use std::io;\nfn main() {\n}\n"),
        ("pypy", _fenced(_A), _A),
        ("cobol", _fenced("x\n", "COBOL"), "x\n"),
        ("lang2", _fenced("x\n", ""), "x\n"),
    ],
)  # fmt: skip
def test_other_languages(language, completion, code):
    assert code_in(completion, language) == code


@pytest.mark.parametrize(
    ("language", "completion"),
    [
        ("cpp", "print(1)"), ("cpp", _fenced(_A)), ("cpp", "In C++ one writes int x; and so on {}."),
        ("java", "This class is the best of all classes; it has class."), ("go", "go func; main()"), ("lang2", "x"),
    ],
)  # fmt: skip
def test_not_in_that_language(language, completion):
    assert code_in(completion, language) is None


_HOSTILE = {
    "ticks": "`" * 250_000,
    "openers": "```python\n" * 25_000,
    "in a comment": "```python\n# " + "``` x" * 25_000,
    "in a string": '```python\nx = "' + "``` x" * 25_000,
    "in a long string": '```python\nx = """' + "``` x\n```\n" * 25_000,
    "in a string that ends": '```python\nx = """' + "``` x\n" * 25_000 + '"""\n```',
    "strings": '```python\n"""\n```\n' * 12_000,
    "longer and longer": "".join("`" * length + "\n" for length in range(3, 600)),
    "thoughts": "<think>" * 25_000,
    "answers": "<answer>" * 25_000,
    "answers in blocks": "```\n<answer>\n```\n</answer>\n" * 8_000,
    "signs": "= " * 75_000,
    "spaces": "a" + " " * 250_000,
    "a word": "a" * 250_000,
    "quotes and signs": "'\\" * 75_000,
    "labels": "the code code code code: " * 12_000,
    "code and prose": "print(1)\nand then some\n" * 12_000,
    "quoted": "> " * 75_000 + "```python\n",
    "surrogates": "```python\nprint('\ud800')\n" + "\udfff" * 25_000,
    "ends": "#include <x>\n" + "};\n" * 12_000,
    "tokens": "print(1)" + "<|a|>" * 25_000,
    "markdown": "```markdown\n" * 25_000,
}  # fmt: skip


@pytest.mark.sampled(4)
@pytest.mark.parametrize("name", _HOSTILE)
def test_it_takes_no_longer_for_being_hostile(name):
    """What took time by the square of these lengths would take minutes here, and the patience of whoever waits."""
    code_in(_HOSTILE[name])
    code_in(_HOSTILE[name], "cpp")
