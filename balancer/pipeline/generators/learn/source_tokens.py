"""Source tokens: the tokens of a program, with constant expressions evaluated: "2 * 10**5" is one token.

Good enough for Python and C++. Comments are dropped, strings are separated, and names of constants become values. The
source is never executed.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from keyword import iskeyword

__all__ = ["SourceToken", "lex"]

_STRING = r"""[rRbBuUfFL]{0,2}(?:"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*')"""
_PYTHON_NOISE = re.compile(r'("""(?:.|\n)*?"""|' + r"'''(?:.|\n)*?''')" + rf"|({_STRING})|#[^\n]*")
_CPP_NOISE = re.compile(rf"(/\*(?:.|\n)*?\*/|//[^\n]*)|({_STRING})")
_CPP_SEPARATOR = re.compile(r"(?<=\d)'(?=\d)")
_POW = re.compile(r"\bpow\(\s*(\d{1,4})\s*,\s*(\d{1,2})\s*\)")
_LIMIT = re.compile(r"^(?:max|min)_?[a-z]$", re.IGNORECASE)
_TOKEN = re.compile(
    r"(?P<number>0[xX][0-9a-fA-F]+|\d[\d_]*(?:\.\d+)?(?:[eE][+-]?\d+)?)[uUlL]*|(?P<name>[A-Za-z_]\w*)"
    r"|(?P<mark>\*\*|<<|>>|//|<=|>=|==|!=|&&|\|\||[^\s\w])|(?P<line>\n)"
)
_LARGEST = 10**19  # no bound is beyond 64 bits
_OPERATORS = (("<<",), ("+", "-"), ("*",))  # weakest binding first


@dataclass(frozen=True, slots=True)
class SourceToken:
    """A token of a source.

    Args:
        text: as written; of a constant expression its value.
        value: of a constant; None for anything else.
        call: the function whose brackets it is in; "" outside.
        subscript: whether it is in square brackets after a name.
        called: whether it is the name of a called function.
    """

    text: str
    value: int | None = None
    call: str = ""
    subscript: bool = False
    called: bool = False


def lex(source: str, *, python: bool) -> tuple[list[SourceToken], list[str]]:
    """Return the tokens of a source, and the texts of its strings, in order, without comments."""
    texts: list[str] = []

    def set_apart(match: re.Match[str]) -> str:
        if match[2] is None:
            return " "
        texts.append(match[2])
        return '""'

    if not python:
        source = _CPP_SEPARATOR.sub("", source)
    source = _POW.sub(lambda found: str(min(int(found[1]) ** min(int(found[2]), 64), _LARGEST)), source)
    plain = (_PYTHON_NOISE if python else _CPP_NOISE).sub(set_apart, source)
    return _with_places(_Folder(list(_raw(plain))).tokens()), texts


def _raw(text: str) -> Iterator[SourceToken]:
    for match in _TOKEN.finditer(text):
        if match["number"]:
            yield SourceToken(match["number"], _number(match["number"]))
        else:
            yield SourceToken(match[0])


def _number(text: str) -> int | None:
    if text[:2] in ("0x", "0X"):
        return int(text, 16)
    digits = text.replace("_", "")
    if digits.isdigit():
        return int(digits[:30])
    value = float(digits)
    return int(value) if value.is_integer() and value <= _LARGEST else None


class _Folder:
    """Replaces constant expressions and names of constants by their values."""

    def __init__(self, tokens: list[SourceToken]) -> None:
        self._tokens = tokens
        self._constants: dict[str, int] = {}

    def tokens(self) -> list[SourceToken]:
        folded: list[SourceToken] = []
        at = 0
        while at < len(self._tokens):
            found = self._expression(at, 0) if self._may_start(at) else None
            if found is None:
                folded.append(self._tokens[at])
                at += 1
            else:
                value, after = found
                self._remember(folded, value)
                folded.append(SourceToken(str(value), value))
                at = after
        return folded

    def _may_start(self, at: int) -> bool:
        """Return whether a constant may start here.

        A bracket after a name is a call, a minus after a value a subtraction.
        """
        before = self._tokens[at - 1].text if at else ""
        named = before.isidentifier() and not iskeyword(before)  # in assert -5 <= x there is no subtraction
        follows_value = named or before in (")", "]") or before[:1].isdigit()
        return not (follows_value and self._tokens[at].text in ("(", "-"))

    def _remember(self, folded: list[SourceToken], value: int) -> None:
        """Keep `MAX_N = 5`, `const int n = 5` and `#define N 5`."""
        texts = [token.text for token in folded[-5:]]
        assigned = texts[-2] if texts[-1:] == ["="] and len(texts) > 1 else ""
        if assigned and (assigned.isupper() or {"const", "constexpr"} & set(texts) or _LIMIT.search(assigned)):
            self._constants[texts[-2]] = value
        elif len(texts) > 2 and texts[-3:-1] == ["#", "define"]:
            self._constants[texts[-1]] = value

    def _expression(self, at: int, level: int) -> tuple[int, int] | None:
        """Evaluate a constant expression from `at` on. Return its value and its end."""
        if level == len(_OPERATORS):
            return self._power(at)
        found = self._expression(at, level + 1)
        while found is not None and self._text(found[1]) in _OPERATORS[level]:
            right = self._expression(found[1] + 1, level + 1)
            if right is None:
                break
            value = _combine(found[0], self._text(found[1]), right[0])
            if value is None:
                break
            found = value, right[1]
        return found

    def _power(self, at: int) -> tuple[int, int] | None:
        if self._text(at) == "-":
            found = self._power(at + 1)
            return None if found is None else (-found[0], found[1])
        base = self._atom(at)
        if base is None or self._text(base[1]) != "**":
            return base
        exponent = self._power(base[1] + 1)
        value = None if exponent is None else _combine(base[0], "**", exponent[0])
        return base if value is None or exponent is None else (value, exponent[1])

    def _atom(self, at: int) -> tuple[int, int] | None:
        if self._text(at) == "(":
            inner = self._expression(at + 1, 0)
            return (inner[0], inner[1] + 1) if inner is not None and self._text(inner[1]) == ")" else None
        if at >= len(self._tokens):
            return None
        value = self._tokens[at].value
        if value is None:
            value = self._constants.get(self._tokens[at].text)
        return None if value is None else (value, at + 1)

    def _text(self, at: int) -> str:
        return self._tokens[at].text if at < len(self._tokens) else ""


def _combine(left: int, operator: str, right: int) -> int | None:
    """Return the result of one operation; None if it is too large for a bound."""
    if operator in ("**", "<<"):
        if not 0 <= right <= 64 or abs(left) > 10**6:
            return None
        value = left**right if operator == "**" else left << right
    else:
        value = left * right if operator == "*" else left + right if operator == "+" else left - right
    return value if abs(value) <= _LARGEST else None


def _with_places(tokens: list[SourceToken]) -> list[SourceToken]:
    """Give every token the brackets it is in; drop line ends inside brackets."""
    placed: list[SourceToken] = []
    around: list[tuple[str, bool]] = []
    for index, token in enumerate(tokens):
        before = tokens[index - 1].text if index else ""
        if token.text in (")", "]", "}") and around:
            around.pop()
        if token.text == "\n" and around and around[-1][0] != "{":
            continue
        call, subscript = around[-1] if around else ("", False)
        called = token.text.isidentifier() and index + 1 < len(tokens) and tokens[index + 1].text == "("
        placed.append(replace(token, call=call, subscript=subscript, called=called))
        if token.text in ("(", "[", "{"):
            around.append(_bracket(token.text, before))
    return placed


def _bracket(text: str, before: str) -> tuple[str, bool]:
    follows_name = before.isidentifier() or before in (")", "]")
    if text == "(":
        return (before if before.isidentifier() else ""), False
    return ("{" if text == "{" else ""), text == "[" and follows_name
