"""Formulas in statements: "2 \\cdot 10^5", "n(n-1)/2", "1 \\leq n, m \\leq 10^5".

Decides how such text is read, in TeX, Markdown and plain letters. A formula is a sum of products of names, and has a
value when the names are known.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import takewhile
from math import floor, prod

__all__ = ["Chain", "Formula", "chains", "names_in", "number_at_start", "plain"]

_LARGEST = Fraction(10**19)  # no bound is beyond 64 bits
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
_TOKEN = re.compile(
    r"(?P<number>\d+(?:\.\d+)?(?:[eE]\d+)?)|(?P<name>[A-Za-z]+'*)|(?P<length>\|\s*[A-Za-z]+\s*\|)"
    r"|(?P<mark><=|>=|!=|[<>^*+\-/(),=])|(?P<other>\S)"
)
_DEEPEST = 10  # nesting of brackets
_COMPARED = {"<=": (1, 0), "<": (1, 1), ">=": (-1, 0), ">": (-1, 1)}
_AND = frozenset({"and", "et", "und"})

Terms = dict[tuple[str, ...], Fraction]


@dataclass(frozen=True, slots=True)
class Formula:
    """A sum of products: ((("m", "k"), 1), ((), -1)) is m k - 1."""

    terms: tuple[tuple[tuple[str, ...], Fraction], ...]

    @property
    def constant(self) -> int | None:
        """Its value, if it has no names; else None."""
        return self.of({})

    @property
    def names(self) -> tuple[str, ...]:
        """Every name in it, sorted."""
        return tuple(sorted({name for names, _ in self.terms for name in names}))

    @property
    def product(self) -> tuple[str, ...]:
        """The names, if it is a plain product of names; else empty."""
        if len(self.terms) != 1 or self.terms[0][1] != 1:
            return ()
        return self.terms[0][0]

    def of(self, values: Mapping[str, int]) -> int | None:
        """Return the value, rounded down; None if a name has none."""
        if any(name not in values for name in self.names):
            return None
        return floor(sum((part * prod(values[name] for name in names) for names, part in self.terms), Fraction(0)))

    def shifted(self, by: int) -> "Formula":
        """Return the formula plus `by`."""
        return _formula(_added(dict(self.terms), {(): Fraction(by)}))


@dataclass(frozen=True, slots=True)
class Chain:
    """A comparison: each of `left` is at most (at least `apart` below) each of `right`."""

    left: tuple[Formula, ...]
    right: tuple[Formula, ...]
    apart: int


def plain(text: str) -> str:
    """Rewrite TeX, Markdown and HTML so that formulas have only names, numbers and signs."""
    text = re.sub(r"[⁰¹²³⁴⁵⁶⁷⁸⁹⁻]+", lambda found: "^(" + found[0].translate(_SUPERSCRIPTS) + ")", text)
    for pattern, replacement in _RULES:
        text = pattern.sub(replacement, text)
    return _GROUPED.sub(lambda found: found[0].replace(",", ""), text)


def names_in(text: str) -> Iterator[str]:
    """Yield the names in a formula, in order. The length of s has the name "|s|"."""
    for token in _tokens(plain(text)):
        if token.startswith("|") or token[:1].isalpha():
            yield token


def chains(text: str) -> Iterator[Chain]:
    """Yield every comparison in a text from `plain`."""
    tokens = list(_tokens(text))
    at = 0
    while at < len(tokens):
        found = _shallow(tokens, at)
        if found is None:
            at += 1
            continue
        left, after = found
        start = after
        while after < len(tokens) and tokens[after] in _COMPARED:
            following = _shallow(tokens, after + 1)
            if following is None:
                break
            way, apart = _COMPARED[tokens[after]]
            yield Chain(left, following[0], apart) if way > 0 else Chain(following[0], left, apart)
            left, after = following
        at = after if after > start else at + 1


def _shallow(tokens: Sequence[str], at: int) -> tuple[tuple[Formula, ...], int] | None:
    """Read an operand; None if its brackets are nested too deeply."""
    opened = list(takewhile(lambda token: token in ("(", "-"), tokens[at : at + _DEEPEST + 1]))
    if len(opened) > _DEEPEST:
        return None
    try:
        return _operand(tokens, at)
    except RecursionError:
        return None


def number_at_start(text: str) -> int | None:
    """Return the number at the start of a text, such as "2 * 10^5 in all"; None if there is none."""
    found = _shallow(list(_tokens(text)), 0)
    return None if found is None else found[0][0].constant


def _tokens(text: str) -> Iterator[str]:
    for match in _TOKEN.finditer(text):
        yield re.sub(r"\s", "", match[0]) if match["length"] else match[0]


def _operand(tokens: Sequence[str], at: int) -> tuple[tuple[Formula, ...], int] | None:
    """Read formulas separated by commas. A list has only single names."""
    found = _sum(tokens, at)
    if found is None:
        return None
    formulas, after = [_formula(found[0])], found[1]
    while after < len(tokens) and (tokens[after] == "," or tokens[after] in _AND) and formulas[-1].product:
        following = _sum(tokens, after + 1)
        if following is None or not _formula(following[0]).product:
            break
        if tokens[following[1] : following[1] + 1] in (["!="], ["="]):  # "a <= n and a != b": another relation
            break
        formulas.append(_formula(following[0]))
        after = following[1]
    return tuple(formulas), after


def _sum(tokens: Sequence[str], at: int) -> tuple[Terms, int] | None:
    sign = -1 if tokens[at : at + 1] == ["-"] else 1
    found = _product(tokens, at + (sign < 0))
    if found is None:
        return None
    terms, after = {names: sign * part for names, part in found[0].items()}, found[1]
    while after < len(tokens) and tokens[after] in ("+", "-"):
        following = _product(tokens, after + 1)
        if following is None:
            break
        way = 1 if tokens[after] == "+" else -1
        terms = _added(terms, {names: way * part for names, part in following[0].items()})
        after = following[1]
    return terms, after


def _product(tokens: Sequence[str], at: int) -> tuple[Terms, int] | None:
    found = _power(tokens, at)
    if found is None:
        return None
    terms, after = found
    while after < len(tokens):
        if tokens[after] == "/":
            divisor = _power(tokens, after + 1)
            if divisor is None or set(divisor[0]) != {()} or not divisor[0][()]:
                break
            terms = {names: part / divisor[0][()] for names, part in terms.items()}
            after = divisor[1]
            continue
        starred = tokens[after] == "*"
        # "2n" and "n(n-1)" are products. Two words side by side are prose.
        if not starred and not (tokens[after] == "(" or (tokens[after - 1].isdigit() and _is_letter(tokens[after]))):
            break
        following = _power(tokens, after + starred)
        if following is None:
            break
        terms, after = _multiplied(terms, following[0]), following[1]
    return terms, after


def _power(tokens: Sequence[str], at: int) -> tuple[Terms, int] | None:
    base = _atom(tokens, at)
    if base is None or tokens[base[1] : base[1] + 1] != ["^"]:
        return base
    exponent = _atom(tokens, base[1] + 1)
    value = None if exponent is None or set(exponent[0]) != {()} else exponent[0][()]
    if value is None or exponent is None or not 0 <= value <= 64 or value.denominator != 1:
        return None
    terms: Terms = {(): Fraction(1)}
    for _ in range(int(value)):
        terms = _multiplied(terms, base[0])
    return terms, exponent[1]


def _atom(tokens: Sequence[str], at: int) -> tuple[Terms, int] | None:
    token = tokens[at] if at < len(tokens) else ""
    if token[:1].isdigit():
        return {(): Fraction(token)}, at + 1
    if token == "(":
        inner = _sum(tokens, at + 1)
        return (inner[0], inner[1] + 1) if inner is not None and tokens[inner[1] : inner[1] + 1] == [")"] else None
    if token.startswith("|") and len(token) > 1:
        return {(token,): Fraction(1)}, at + 1
    if token[:1].isalpha() and token not in _AND:
        return {(token,): Fraction(1)}, at + 1
    return None


def _is_letter(token: str) -> bool:
    return len(token) == 1 and token.isalpha()


def _added(left: Terms, right: Terms) -> Terms:
    found = dict(left)
    for names, part in right.items():
        found[names] = found.get(names, Fraction(0)) + part
    return found


def _multiplied(left: Terms, right: Terms) -> Terms:
    found: Terms = {}
    for one, part in left.items():
        for other, share in right.items():
            names = tuple(sorted((*one, *other)))
            product = found.get(names, Fraction(0)) + part * share
            found[names] = min(max(product, -_LARGEST), _LARGEST)
    return found


def _formula(terms: Terms) -> Formula:
    kept = {names: part for names, part in terms.items() if part or not names}
    if len(kept) > 1 and not kept.get((), Fraction(1)):
        del kept[()]
    return Formula(tuple(sorted(kept.items())))
