"""Statement reader: bounds in a problem's statement, such as "1 <= n <= 10^5" or "between 1 and 1000". Pure.

Decides which names a statement bounds, and their order in the input: that of their first mention in the input section.
Validators overrule the statement.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from balancer.pipeline.generators.learn.bounds import Bounds
from balancer.pipeline.generators.learn.formula import Chain, Formula, chains, names_in, number_at_start, plain

__all__ = ["NamedBound", "kinds_in", "read_statement", "told_bounds"]

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
_NUMBER = r"(-?\s*\d[\d.^*()eE+ -]*)"
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
# Numbers that stand for kinds of lines: an item begins with "1 x y", or "If t = 1", or "type 1" is somewhere.
_KIND_ITEM = re.compile(r"\W*(?:(\d)(?:\s+[A-Za-z])+(?![\w'])|(?:if|when)\s+[A-Za-z]+\s*=\s*(\d)\b)", re.IGNORECASE)
_KIND_WORDS = re.compile(r"\b(?:type|kind)\s+(\d)\b", re.IGNORECASE)
_ORDINAL = re.compile(r"\$\w\$-?(?:th|\\textsuperscript)\b|\$\w\^\{?\\?\w*\{?th\b[^$]*\$")


@dataclass(frozen=True, slots=True)
class NamedBound:
    """Bounds of one name.

    Args:
        low, high: bounds, for whole numbers.
        low_by, high_by: bounds in terms of other names.
        open_low, open_high: whether the bound was given with "<", so that numbers with decimals may come closer.
    """

    name: str
    low: int | None = None
    high: int | None = None
    low_by: Formula | None = None
    high_by: Formula | None = None
    open_low: bool = False
    open_high: bool = False


def read_statement(text: str) -> tuple[NamedBound, ...]:
    """Return a bound for each name of the input, in the order of the input; empty if there are no numbers."""
    text = _expanded(_COMMENT.sub("", text))
    section = _input_section(text)
    prose = plain(text)
    found = _chained(_ITEM.split(prose))
    _note_words(prose, found)
    mentioned = _in_order(section)
    order = list(dict.fromkeys([*mentioned, *found]))
    folded = {name.lower(): bound for name, bound in found.items() if name not in mentioned}
    bounds = []
    for name in order:
        bound = found.get(name)
        if bound is None and name.lower() in folded:  # "n" in one sentence, "N" in the next
            bound = replace(folded[name.lower()], name=name)
        if bound is not None or (name not in _INDEXES and len(name) == 1):
            bounds.append(bound or NamedBound(name))
    return tuple(bounds)


def told_bounds(told: Sequence[NamedBound]) -> tuple[Bounds, ...]:
    """Return the statement's bounds for each name, as `Bounds`."""
    return tuple(
        Bounds(
            each.low,
            each.high,
            0.9,
            each.name,
            each.high_by,
            of_words=each.name.startswith("|"),
            open_low=each.open_low,
            open_high=each.open_high,
        )
        for each in told
    )


def _chained(items: Sequence[str]) -> dict[str, NamedBound]:
    """Return the bounds in comparisons. A name that goes up to n in one item and up to m in another has neither."""
    found: dict[str, NamedBound] = {}
    highs: dict[str, set[Formula]] = {}
    for item in items:
        own: dict[str, NamedBound] = {}
        for chain in chains(item):
            _note(chain, found)
            _note(chain, own)
        for name, bound in own.items():
            if bound.high_by is not None:
                highs.setdefault(name, set()).add(bound.high_by)
    for name, several in highs.items():
        if len(several) > 1:
            found[name] = replace(found[name], high_by=None)
    return found


def kinds_in(text: str) -> frozenset[str]:
    """Return the numbers that a statement uses for kinds of lines: 1 and 2 in "1 x: delete x" and "2 y: print y"."""
    prose = plain(_expanded(_COMMENT.sub("", text)))
    items = filter(None, map(_KIND_ITEM.match, _ITEM.split(prose)))
    return frozenset([item[1] or item[2] for item in items] + _KIND_WORDS.findall(prose))


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
        own: dict[str, NamedBound] = {}
        for chain in chains(plain(item)):
            _note(chain, own)
        for name in _INDEXES & own.keys():
            if own[name].high is not None or own[name].high_by is not None:
                bounded.setdefault(name, number)
    formulas = _MATH.search(section) is not None
    named = ((number, name) for number, item in enumerate(items) for name in _mentioned(item, formulas=formulas))
    return [name for number, name in named if number >= bounded.get(name, 0)]


def _mentioned(text: str, *, formulas: bool) -> list[str]:
    """Return the names of a text in order: those in formulas, or those in words."""
    if formulas:
        parts = ["".join(filter(None, match.groups())) for match in _MATH.finditer(text)]
        return [name for part in parts for name in names_in(part) if name.startswith("|") or len(name) == 1]
    return [name for name in re.findall(_NAME, plain(text)) if name not in ("a", "A", "I")]


def _note(chain: Chain, found: dict[str, NamedBound]) -> None:
    for left in chain.left:
        for right in chain.right:
            if len(right.product) == 1:
                name = right.product[0]
                bound = found.get(name, NamedBound(name))
                low = left.shifted(chain.apart)
                if low.constant is not None:
                    found[name] = replace(bound, low=low.constant, open_low=chain.apart > 0)
                else:
                    found[name] = replace(bound, low_by=low)
            if len(left.product) == 1:
                name = left.product[0]
                bound = found.get(name, NamedBound(name))
                high = right.shifted(-chain.apart)
                if high.constant is None:
                    found[name] = replace(bound, high_by=high)
                elif bound.high is None or high.constant > bound.high:  # subtasks have smaller ones
                    found[name] = replace(bound, high=high.constant, open_high=chain.apart > 0)


def _note_words(prose: str, found: dict[str, NamedBound]) -> None:
    for match in _BETWEEN.finditer(prose):
        low, high = number_at_start(match[2]), number_at_start(match[3])
        if low is not None and high is not None and low < high and match[1] not in found:
            found[match[1]] = NamedBound(match[1], low, high)
    for match in _AT_MOST.finditer(prose):
        high = number_at_start(match[2])
        if high is not None and match[1] not in found:
            found[match[1]] = NamedBound(match[1], None, high)
    for match in _POSITIVE.finditer(prose):
        bound = found.get(match[1])
        if bound is not None and bound.low is None and bound.low_by is None:
            found[match[1]] = replace(bound, low=1)
