"""Statement reader: bounds in a problem's statement, such as "1 <= n <= 10^5" or "between 1 and 1000". Pure.

Decides how TeX, Markdown and plain letters are read, which names a statement bounds, and their order in the input: that
of their first mention in the input section. Of formulas, only values and single names count.
Validators overrule the statement.
"""

import re
from dataclasses import dataclass, replace
from itertools import product

from balancer.pipeline.generators.learn.bounds import Bounds

__all__ = ["NAME", "NamedBound", "compared", "plain", "read_statement"]

_SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻", "0123456789-")
_GROUPED = re.compile(r"(?<![\d.])\d{1,3}(?:,\d{3})+(?![\d,])")  # 200,000
_PLAIN: tuple[tuple[str, str], ...] = (
    (r"(?<![\w*])\*([A-Za-z]+)\*(?![\w*])", r"\1"),
    (r"<sup>\s*([^<]*)</sup>", r"^(\1)"),
    (r"&le;|&leq;|≤|⩽|\\leqslant(?![a-z])|\\leq(?![a-z])|\\le(?![a-z])|&lt;=", " <= "),
    (r"&ge;|&geq;|≥|⩾|\\geqslant(?![a-z])|\\geq(?![a-z])|\\ge(?![a-z])|&gt;=", " >= "),
    (r"&lt;|\\lt(?![a-z])", " < "),
    (r"&gt;|\\gt(?![a-z])", " > "),
    (r"\\neq?(?![a-z])|≠", " != "),
    (r"\\cdot(?![a-z])|\\times(?![a-z])|\\ast(?![a-z])|·|⋅|\u00d7|&times;|&middot;", " * "),
    (r"\*\*", "^"),
    (r"\u2212|\u2013", "-"),
    (r"\\left(?![a-z])|\\right(?![a-z])|\\[lr]vert(?![a-z])", "|"),
    (r"\|\(", "("),
    (r"\)\|", ")"),
    (r"\\(?:text|texttt|textit|mathit|mathrm|mathtt|textbf|mathbf|operatorname)\{([^{}]*)\}", r"\1"),
    (r"(?<=\d)(?:\\[,;: !]|\{,\}|~|\u2009|\u202f|\u00a0|')(?=\d{3}(?!\d))", ""),
    (r"\\[ld]?dots(?:[bcimo])?(?![a-z])|…|\.\.\.+", " ... "),
    (r"_\{[^{}]*\}|_\\?[A-Za-z0-9]+", ""),
    (r"\^\{([^{}]*)\}", r"^(\1)"),
    (r"\\[,;:! ]|~|\{|\}|\\(?:quad|qquad|displaystyle|limits)(?![a-z])|[$`]|\\[()\[\]]", " "),
    (r"\\([A-Za-z]+)", r"\1"),
)
_RULES = tuple((re.compile(pattern), replacement) for pattern, replacement in _PLAIN)
_MATH = re.compile(r"\$+([^$]+)\$+|\\\((.+?)\\\)|\\\[(.+?)\\\]|`([^`\n]+)`|(?<!\*)\*([A-Za-z])\*(?!\*)", re.DOTALL)
_MACRO = re.compile(r"\\(?:re)?newcommand\*?\s*\{?\\([A-Za-z]+)\}?\s*\{((?:[^{}]|\{[^{}]*\})*)\}")
_COMMENT = re.compile(r"(?<!\\)%[^\n]*")
_INPUT = re.compile(
    r"\\begin\{(?:Input|Entr[ée]e)\}|\\(?:sub)*section\*?\{[^{}]*(?:Input|Entr[ée]e|Eingabe)[^{}]*\}"
    r"|^\s*#+\s*(?:Input|Entr[ée]e|Eingabe)\b.*$|^(?:Input|Entr[ée]e|Eingabe)[^\n]{0,20}\n[-=]{3,}",
    re.IGNORECASE | re.MULTILINE,
)
_OUTPUT = re.compile(
    r"\\end\{(?:Input|Entr[ée]e)\}|\\begin\{(?:Output|Sortie)\}|\\(?:sub)*section\*?\{|^\s*#+\s*\S|^\S[^\n]*\n[-=]{3,}",
    re.IGNORECASE | re.MULTILINE,
)
# 5, 2 * 10^5, 10^(9) - 1, 1e5
_POWER = r"\d+(?:\.\d+)?(?:[eE]\d+|[ \t]*\^[ \t]*\(?\d+\)?)?"
_NUMBER = rf"(-?[ \t]*{_POWER}(?:[ \t]*\*[ \t]*{_POWER})*(?:[ \t]*[+-][ \t]*\d+)?)"
_SIGN = re.compile("[<>]=?")
_OPERATOR, _OPERAND = re.compile(r"[*+/^-]\s*$"), re.compile(r"(?:(?<![A-Za-z])[A-Za-z]|[\d)|])\s*$")  # before a side
_LARGEST = 10**19  # no bound is beyond 64 bits
_NEARBY = 200  # letters of a side of a comparison
NAME = r"(?:\|\s*[A-Za-z]+\s*\||(?<![A-Za-z|])[A-Za-z]+'*(?![A-Za-z|]))"
_NAME = r"(?<![A-Za-z|])([A-Za-z])(?![A-Za-z'])"
_NEAR = r"(?:(?!(?<![A-Za-z|])[A-Za-z](?![A-Za-z']))[^.;\n]){0,40}?"  # no other name between
_BETWEEN = re.compile(
    rf"{_NAME}{_NEAR}\b(?:between|from|compris entre|entre|de)\s+{_NUMBER}\s+(?:and|to|et|à)\s+{_NUMBER}"
)
_MOST_WORDS = (
    r"(?:at most|no more than|not more than|(?:do(?:es)? )?not exceed(?:ing)?|up to|bounded by|limited to"
    r"|inférieure? ou égale? à|d'au plus|au plus|ne dépasse(?:nt)? pas|<=|≤)"
)
_AT_MOST = re.compile(rf"{_NAME}{_NEAR}{_MOST_WORDS}\s+{_NUMBER}")
_POSITIVE = re.compile(rf"\b(?:positive|positif|strictement positif)\b[^.;\n]{{0,30}}?{_NAME}")
_ITEM = re.compile(r"\n\s*[-*+\u2022]\s|\n\s*\n|\bitem\b")
_INDEXES = frozenset("ij")
_ORDINAL = re.compile(r"\$\w\$-?(?:th|\\textsuperscript)\b|\$\w\^\{?\\?\w*\{?th\b[^$]*\$")


@dataclass(frozen=True, slots=True)
class NamedBound:
    """Bounds of one name.

    Args:
        low, high: bounds, for whole numbers.
        open_low, open_high: whether the bound was given with "<", so that numbers with decimals may come closer.
        below: names that are at least so large, and 1 or 0: how far below them it is.
    """

    name: str
    low: int | None = None
    high: int | None = None
    open_low: bool = False
    open_high: bool = False
    below: frozenset[tuple[str, int]] = frozenset()


def plain(text: str) -> str:
    """Rewrite TeX, Markdown and HTML so that formulas have only names, numbers and signs."""
    text = re.sub(r"[⁰¹²³⁴⁵⁶⁷⁸⁹⁻]+", lambda found: "^(" + found[0].translate(_SUPERSCRIPTS) + ")", text)
    for pattern, replacement in _RULES:
        text = pattern.sub(replacement, text)
    return _GROUPED.sub(lambda found: found[0].replace(",", ""), text)


def number_in(text: str) -> int | None:
    """Return the value of "2 * 10^5 - 1"; None if it is too large, or no number."""
    parts = re.fullmatch(r"(-?)([^+-]+)([+-]\d+)?", re.sub(r"[\s()]", "", text))
    if parts is None:
        return None
    value = 1
    for factor in parts[2].split("*"):
        base, _, power = factor.partition("^")
        if len(base) > 20 or len(power) > 2 or not re.fullmatch(r"\d+(\.\d+)?([eE]\d{1,2})?", base):
            return None
        value *= int(float(base) if "." in base or "e" in base.lower() else base) ** int(power or 1)
    value = (-value if parts[1] else value) + int(parts[3] or 0)
    return value if abs(value) <= _LARGEST else None


def compared(text: str, name: str = NAME) -> dict[str, NamedBound]:
    """Return the bounds in the comparisons of a text from `plain`; `name` is the pattern of a name."""
    names = rf"({name}(?:\s*(?:,|\band\b|\bet\b|\bund\b)\s*{name})*)"
    before, after = re.compile(rf"(?:{_NUMBER}|{names})\s*$"), re.compile(rf"\s*(?:{_NUMBER}|{names})(?!\s*[*+/^(=!-])")
    found: dict[str, NamedBound] = {}
    for sign in _SIGN.finditer(text):
        near = text[max(sign.start() - _NEARBY, 0) : sign.start()]
        left, right = before.search(near), after.match(text[sign.end() : sign.end() + _NEARBY])
        if left is None or right is None or _OPERATOR.search(near[: left.start()]):
            continue
        if left[0].startswith("-") and _OPERAND.search(near[: left.start()]):
            continue
        if left[2] and right[2]:
            small, large = (left, right) if sign[0][0] == "<" else (right, left)
            for one, other in product(_names_in(small[2], name), _names_in(large[2], name)):
                if one != other:
                    bound = found.get(one, NamedBound(one))
                    found[one] = replace(bound, below=bound.below | {(other, 2 - len(sign[0]))})
        told = [match[1] for match in (left, right) if match[1]]
        if len(told) == 1 and (value := number_in(told[0])) is not None:
            is_low = bool(left[1]) is (sign[0][0] == "<")
            apart = len(sign[0]) == 1
            for each in _names_in(left[2] or right[2], name):
                _note(found, each, value, apart, is_low=is_low)
    return found


def _names_in(text: str, name: str) -> list[str]:
    return [re.sub(r"\s", "", each) for each in re.findall(name, text)]


def _note(found: dict[str, NamedBound], name: str, value: int, apart: bool, *, is_low: bool) -> None:
    bound = found.get(name, NamedBound(name))
    if is_low:
        found[name] = replace(bound, low=value + apart, open_low=apart)
    elif bound.high is None or value - apart > bound.high:  # subtasks have smaller ones
        found[name] = replace(bound, high=value - apart, open_high=apart)


def read_statement(text: str) -> tuple[Bounds, ...]:
    """Return the bounds of each name of the input, in the order of the input; empty if there are no numbers."""
    text = _expanded(_COMMENT.sub("", text))
    section = _input_section(text)
    prose = _ITEM.sub("\n;\n", plain(text))
    found = compared(prose)
    _note_words(prose, found)
    mentioned = _in_order(section)
    folded = {name.lower(): bound for name, bound in found.items() if name not in mentioned}
    bounds = []
    for name in dict.fromkeys([*mentioned, *found]):
        bound = found.get(name)
        if bound is None and name.lower() in folded:  # "n" in one sentence, "N" in the next
            bound = replace(folded[name.lower()], name=name)
        if bound is not None or (name not in _INDEXES and len(name) == 1):
            bounds.append(_as_bounds(bound or NamedBound(name)))
    return tuple(bounds)


def _as_bounds(told: NamedBound) -> Bounds:
    return Bounds(
        told.low,
        told.high,
        0.9,
        told.name,
        of_words=told.name.startswith("|"),
        open_low=told.open_low,
        open_high=told.open_high,
        below=next(iter(told.below)) if len(told.below) == 1 else None,
    )


def _expanded(text: str) -> str:
    """Replace the text's own macros by their values."""
    macros = {name: value for name, value in _MACRO.findall(text) if value.strip()}
    text = _MACRO.sub(" ", text)
    for name, value in macros.items():
        text = re.sub(rf"\\{name}(?![A-Za-z])", lambda _, value=value: value, text)  # type: ignore[misc]
    return text


def _input_section(text: str) -> str:
    start = _INPUT.search(text)
    if start is None:
        return text
    end = _OUTPUT.search(text, start.end())
    return text[start.end() : end.start() if end else len(text)]


def _in_order(section: str) -> list[str]:
    """Return the names of a section in order. A letter of an index counts from where it is bounded, if it is anywhere.

    Else "the position of the $i$-th" in an earlier line would be the place of "an integer $i$ ($1 <= i <= n$)".
    """
    section = _ORDINAL.sub("", section)
    items = _ITEM.split(section)
    bounded: dict[str, int] = {}
    for number, item in enumerate(items):
        for name in _INDEXES & compared(plain(item)).keys():
            bounded.setdefault(name, number)
    formulas = _MATH.search(section) is not None
    named = ((number, name) for number, item in enumerate(items) for name in _mentioned(item, formulas=formulas))
    return [name for number, name in named if number >= bounded.get(name, 0)]


def _mentioned(text: str, *, formulas: bool) -> list[str]:
    """Return the names of a text in order: those in formulas, or those in words."""
    if formulas:
        parts = ["".join(filter(None, match.groups())) for match in _MATH.finditer(text)]
        return [
            name for part in parts for name in re.findall(NAME, plain(part)) if name.startswith("|") or len(name) == 1
        ]
    return [name for name in re.findall(_NAME, plain(text)) if name not in ("a", "A", "I")]


def _note_words(prose: str, found: dict[str, NamedBound]) -> None:
    for match in _BETWEEN.finditer(prose):
        low, high = number_in(match[2]), number_in(match[3])
        if low is not None and high is not None and low < high and match[1] not in found:
            found[match[1]] = NamedBound(match[1], low, high)
    for match in _AT_MOST.finditer(prose):
        high = number_in(match[2])
        if high is not None and match[1] not in found:
            found[match[1]] = NamedBound(match[1], None, high)
    for match in _POSITIVE.finditer(prose):
        bound = found.get(match[1])
        if bound is not None and bound.low is None:
            found[match[1]] = replace(bound, low=1)
