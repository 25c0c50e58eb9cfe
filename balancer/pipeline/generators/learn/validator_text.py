"""Validator text: hints at bounds in the source of an input validator. Nothing is executed.

A validator compares its input with constants: `1 <= n <= 2 * 10**5`, `readInt(1, MAX_N)`, `[a-z]{1,50}`. This module
finds alphabets, words, and constants that bound something, in pairs if possible. They are in the order in which the
bounded names first appear.

A bound may be open: `n < 100001`, `n in range(1, 100001)`, or `integer(1, 100001)` where `integer` itself compares with
`<`. The greatest value is then one less. Of a checktestdata grammar, only the grammar is read, not what runs it.
"""

import re
from ast import literal_eval
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise, takewhile
from keyword import iskeyword

from balancer.pipeline.generators.learn.bounds import Alphabet, Bounds, Hints
from balancer.pipeline.generators.learn.source_tokens import SourceToken, lex
from balancer.program import Program

__all__ = ["alphabets_of", "find_pairs", "read_validators", "vocabularies_of"]

_CLASS = re.compile(r"\[((?:\\.|[^\]\\^])+)\](?:\{(\d{1,8})(?:,(\d{0,8}))?\}|([+*]))?")
_DIGITS = re.compile(r"(0\|)?(-\?)?\[1-9\](?:\[0-9\]|\\d)\{0,(\d{1,2})\}")
_QUOTED = re.compile(r"[\"']([A-Za-z0-9_+*/<>=.#-]+)[\"']")
_LISTED = re.compile(
    r"[\[{(]\s*((?:[bu]?[\"'][A-Za-z0-9_+*/<>=.#-]+[\"']\s*,\s*)+[bu]?[\"'][A-Za-z0-9_+*/<>=.#-]+[\"'])\s*,?\s*[\]})]"
)
_ALTERNATIVES = re.compile(r"\((?:\?:)?([A-Za-z0-9_]+(?:\|[A-Za-z0-9_]+)+)\)")
_RANGE = re.compile(r"(.)-(.)|\\?(.)", re.DOTALL)
_NO_LETTERS = frozenset(" \\%{}'\",:;\t")
_MENTIONS = {
    "order": re.compile(r"sort|increas|ascend|decreas|descend|monoton|prev|last|pairwise|adjacent"),
    "distinct": re.compile(r"\bset\b|distinct|unique|duplicat|permut|seen|used|twice|(?:\bnot |!)\s*\w+\[[A-Za-z_]"),
    "connected": re.compile(r"connect|union|parent|root|tree|reach|component|visit"),
}
_COMPARISONS = frozenset({"<", "<=", ">", ">="})
_ARITHMETIC = frozenset({"+", "-", "*", "/", "//", "%", "**", "<<", ">>"})
# Calls whose numbers are no bounds.
_DEAF = frozenset({"exit", "_exit", "quit", "range", "split", "substr", "resize", "reserve", "assign", "setprecision"})
_ENDS = frozenset({"\n", ";", ":", "{"})  # of statements
_PAIR_DISTANCE = 14  # tokens between "1 <=" and "<= 100", as in "1 <= int(a[0]) and int(a[0]) <= 100"
_AGGREGATES = re.compile(r"(?:^|_)prod|(?:^|_)(?:sum|total|tot)|(?:sum|total|tot)(?:$|_)|^(?:sum|tot)", re.IGNORECASE)
_WORDS = re.compile(r"string|word|line|token|str$", re.IGNORECASE)
_GRAMMAR = re.compile(r"^GRAMMAR = (b[\"'].*)$", re.MULTILINE)
_BLOCKS = frozenset({"if", "for", "while", "switch", "catch"})
_LONGEST_BODY = 150  # tokens of a function in which its own bounds are compared
_MOST_BESIDE = 150_000  # bytes of a file beside a validator that is searched for functions
_MOST_DECIMALS = 12
_FLIPPED = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}
_OPEN_HIGH = frozenset({"<", ">="})  # "n < 9" accepts, "n >= 9" refuses
_OPEN_LOW = frozenset({">", "<="})

Opens = Mapping[
    str, frozenset[tuple[int, str]]
]  # function -> places of arguments that are open bounds, "low" or "high"


def read_validators(validators: Sequence[Program]) -> Hints:
    """Return the hints in the sources of `validators`."""
    pairs: list[Bounds] = []
    constants: set[int] = set()
    alphabets: list[Alphabet] = []
    mentions: set[str] = set()
    vocabularies: list[tuple[str, ...]] = []
    for program in validators:
        source, python = _source_of(program), program.language == "python"
        tokens, texts = lex(source, python=python)
        beside = [
            lex(content.decode(errors="replace"), python=python)[0]
            for _, content in program.extras
            if len(content) <= _MOST_BESIDE
        ]
        pairs += [pair for text in texts for pair in _digit_pairs(text)]
        pairs += find_pairs(tokens, _open_arguments([tokens, *beside]), grammar=source is not program.source)
        vocabularies += vocabularies_of(source, texts)
        constants.update(token.value for token in tokens if token.value is not None)
        alphabets += [alphabet for text in texts for alphabet in alphabets_of(text)]
        mentions.update(topic for topic, pattern in _MENTIONS.items() if pattern.search(source.lower()))
        alphabets += [Alphabet("".join(sorted(set(text))), 1) for text in map(_inside, texts) if _is_alphabet(text)]
    return Hints(
        tuple(pairs),
        tuple(sorted(constants)),
        tuple(alphabets),
        frozenset(mentions),
        bool(validators),
        tuple(vocabularies),
    )


def _source_of(program: Program) -> str:
    """Return the source; of a program that follows a grammar, the grammar."""
    grammar = _GRAMMAR.search(program.source) if program.name.endswith(".ctd") else None
    if grammar is None:
        return program.source
    return bytes(literal_eval(grammar[1])).decode(errors="replace")


def _inside(text: str) -> str:
    return text.lstrip("rRbBuUfFL")[1:-1]


def _is_alphabet(text: str) -> bool:
    """Return whether a text lists letters: "abcdefghijklmnopqrstuvwxyz", "ACGT", ".#"; "[.#]" is an expression."""
    sorts = sum(text[:1] <= one < other for one, other in pairwise(text)) == len(text) - 1
    if len(text) < 2 or len(set(text)) < len(text) or not text.isascii() or set(text) & _NO_LETTERS:
        return False
    if _CLASS.fullmatch(text):
        return False
    signs = sum(not letter.isalnum() for letter in text)
    return len(text) >= 10 or (sorts and text.isupper()) or (signs >= 2 and not text.isidentifier())


def vocabularies_of(source: str, texts: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """Yield listed words: {"add", "undo"} in code, (add|undo) in a regular expression."""
    for listed in _LISTED.findall(source):
        yield tuple(_QUOTED.findall(listed))
    for text in texts:
        for group in _ALTERNATIVES.findall(text):
            yield tuple(group.split("|"))


def _digit_pairs(text: str) -> Iterator[Bounds]:
    """Yield bounds from a regular expression for a whole number, such as "[1-9][0-9]{0,4}"."""
    for zero, minus, digits in _DIGITS.findall(text):
        high = 10 ** (int(digits) + 1) - 1
        low = -high if minus else 0 if zero else 1
        yield Bounds(low, high, weight=0.4)


def alphabets_of(text: str) -> Iterator[Alphabet]:
    """Yield the alphabets of a regular expression."""
    for inside, shortest, longest, sign in _CLASS.findall(text):
        letters = "".join(sorted(set(_letters_of(inside))))
        if letters.strip() and not letters.isdigit():
            least = int(shortest or (0 if sign == "*" else 1))
            most = None if sign else max(int(longest or shortest or 1), least)
            yield Alphabet(letters.replace(" ", ""), least, most)


def _letters_of(inside: str) -> Iterator[str]:
    """Yield the letters of a character class."""
    for first, last, single in _RANGE.findall(inside):
        if single:
            yield single
        elif first.isascii() and last.isascii():
            yield from (chr(code) for code in range(ord(first), ord(last) + 1))


def find_pairs(
    tokens: Sequence[SourceToken],
    opens: Opens = {},  # noqa: B006  (never changed)
    *,
    grammar: bool = False,
) -> list[Bounds]:
    """Return the pairs, ordered by the first occurrence of the names they bound, without bounds of sums or products.

    Args:
        tokens: of the source.
        opens: the arguments of functions that are open bounds.
        grammar: whether everything is read where it stands.
    """
    first_seen: dict[str, int] = {}
    for index, token in enumerate(tokens):
        first_seen.setdefault(token.text, index)
    found = []
    bounds = [index for index, token in enumerate(tokens) if _is_bound(tokens, index)]
    position = 0
    while position < len(bounds):
        index = bounds[position]
        partner = bounds[position + 1] if position + 1 < len(bounds) else None
        if partner is not None and _is_pair(tokens, index, partner):
            last: int = partner
            pair: Bounds | None = _closed(
                tokens, Bounds(tokens[index].value, tokens[partner].value), index, last, opens
            )
        else:
            last, pair = index, _lone(tokens, index, opens)
        position += 1 if last == index else 2
        if pair is not None and pair.high is not None and _is_aggregate(tokens, index, last):
            continue
        if pair is not None and _WORDS.search(tokens[index].call):
            pair = replace(pair, of_words=True)
        if pair is not None and last + 4 < len(tokens) and _is_decimals(tokens, last + 4):
            pair = replace(pair, decimals=min(tokens[last + 4].value or 0, _MOST_DECIMALS))
        if pair is not None:
            found.append((index if grammar else _place(tokens, index, last, first_seen), index, pair))
    return [pair for _, _, pair in sorted(found, key=lambda item: item[:2])]


def _place(tokens: Sequence[SourceToken], index: int, last: int, first_seen: Mapping[str, int]) -> int:
    """Return where the bounded thing is read: in a call that reads from a stream, else where its name first appears."""
    start = index
    while start > 0 and tokens[start].text not in _ENDS and not tokens[start].called:
        start -= 1
    if tokens[start].text == tokens[index].call and _text(tokens, start - 1) == ">>":
        return index
    return _table_use(tokens, index) or first_seen.get(_bounded_name(tokens, index, last), index)


def _closed(tokens: Sequence[SourceToken], pair: Bounds, low_at: int, high_at: int, opens: Opens) -> Bounds:
    """Return a pair of closed bounds: for whole numbers, an open one is moved by 1."""
    low = pair.low is not None and _is_open(tokens, low_at, "low", opens)
    high = pair.high is not None and _is_open(tokens, high_at, "high", opens)
    return replace(
        pair,
        low=None if pair.low is None else pair.low + low,
        high=None if pair.high is None else pair.high - high,
        open_low=low,
        open_high=high,
    )


def _is_open(tokens: Sequence[SourceToken], index: int, side: str, opens: Opens) -> bool:
    """Return whether the bound itself is no valid value, by its comparison or by the function that receives it."""
    sign = _compared(tokens, index)
    if sign:
        return sign in (_OPEN_HIGH if side == "high" else _OPEN_LOW)
    call = tokens[index].call
    if call == "range":
        return side == "high"
    return call in opens and (_argument(tokens, index), side) in opens[call]


def _compared(tokens: Sequence[SourceToken], index: int) -> str:
    """Return the sign between a name and this token, as if the name stood before it; "" if there is none."""
    before, after = _text(tokens, index - 1), _text(tokens, index + 1)
    if before in _COMPARISONS and after not in _COMPARISONS:
        return before
    return _FLIPPED.get(after, "") if before not in _COMPARISONS else ""


def _argument(tokens: Sequence[SourceToken], index: int) -> int:
    """Return the place of a token among the arguments of the call around it."""
    depth = place = 0
    for token in reversed(tokens[:index]):
        depth += (token.text in ")]}") - (token.text in "([{")
        if depth < 0:
            break
        place += depth == 0 and token.text == ","
    return place


def _open_arguments(sources: Sequence[Sequence[SourceToken]]) -> Opens:
    """Return the open arguments of the functions that these sources define: those compared with "<", or in a range."""
    found: defaultdict[str, set[tuple[int, str]]] = defaultdict(set)
    for tokens in sources:
        for index, token in enumerate(tokens):
            parameters, body = _definition(tokens, index) if token.called else ([], 0)
            for at in range(body, min(body + _LONGEST_BODY, len(tokens)) if parameters else body):
                if tokens[at].text == "def" or (tokens[at].called and _definition(tokens, at)[0]):
                    break
                if tokens[at].text in parameters:
                    place, sign = parameters.index(tokens[at].text), _compared(tokens, at)
                    if sign in _OPEN_HIGH or (tokens[at].call == "range" and _argument(tokens, at)):
                        found[token.text].add((place, "high"))
                    if sign in _OPEN_LOW:
                        found[token.text].add((place, "low"))
    return {name: frozenset(places) for name, places in found.items()}


def _definition(tokens: Sequence[SourceToken], index: int) -> tuple[list[str], int]:
    """Return the parameters of a function defined here, and where its body begins; no parameters if there is none."""
    parts: list[list[str]] = [[]]
    depth, at = 0, index + 1
    while at < len(tokens):
        text = tokens[at].text
        depth += (text in "([{") - (text in ")]}")
        if depth == 0:
            break
        if text == "," and depth == 1:
            parts.append([])
        elif at > index + 1:
            parts[-1].append(text)
        at += 1
    python = _text(tokens, index - 1) == "def"
    if not python and (_text(tokens, at + 1) not in ("{", "const") or tokens[index].text in _BLOCKS):
        return [], 0
    names = [[text for text in part if text.isidentifier()] for part in parts]
    chosen = [part[0 if python else -1] if part else "" for part in names]
    return chosen[1:] if chosen[:1] == ["self"] else chosen, at + 1


def _is_bound(tokens: Sequence[SourceToken], index: int) -> bool:
    if tokens[index].value is None or tokens[index].subscript:
        return False
    if tokens[index].call in _DEAF and not _is_member(tokens, index):
        return False
    before, after = _text(tokens, index - 1), _text(tokens, index + 1)
    if before in _ARITHMETIC or after in _ARITHMETIC or before in ("return", "=") or _is_decimals(tokens, index):
        return False
    return before in _COMPARISONS or after in _COMPARISONS or "," in (before, after)


def _is_decimals(tokens: Sequence[SourceToken], index: int) -> bool:
    """Return whether it is the third or fourth of four numbers in a call: FLOATP(0, 1, 0, 3) has 0 to 3 decimals."""
    first = last = index
    while _text(tokens, first - 1) == "," and first > 1 and tokens[first - 2].value is not None:
        first -= 2
    while _text(tokens, last + 1) == "," and last + 2 < len(tokens) and tokens[last + 2].value is not None:
        last += 2
    return bool(tokens[index].call) and last - first == 6 and index - first > 2


def _is_member(tokens: Sequence[SourceToken], index: int) -> bool:
    """Return whether it is in a range that a value must be in, as in "n in range(1, 9)", which is no loop."""
    if tokens[index].call != "range":
        return False
    before = [token.text for token in _statement(list(reversed(tokens[max(index - 24, 0) : index])))]
    return "in" in before and "for" not in before


def _is_aggregate(tokens: Sequence[SourceToken], one: int, last: int) -> bool:
    """Return whether a sum or a product is bounded, as in "total <= 10**6" or "sum(sizes) > 10**6"."""
    if not {_text(tokens, one - 1), _text(tokens, one + 1)} & _COMPARISONS:
        return False
    nearby = [*tokens[one + 1 : last], *_statement(list(reversed(tokens[max(one - 24, 0) : one])))]
    return any(_AGGREGATES.search(token.text) for token in nearby)


def _is_pair(tokens: Sequence[SourceToken], one: int, other: int) -> bool:
    low, high = tokens[one], tokens[other]
    if low.value is None or high.value is None or low.value >= high.value or other - one > _PAIR_DISTANCE:
        return False
    between = {token.text for token in tokens[one + 1 : other]}
    return between == {","} or (bool(between & _COMPARISONS) and not between & _ENDS)


def _lone(tokens: Sequence[SourceToken], index: int, opens: Opens) -> Bounds | None:
    """Return the bound of a constant without a partner: a low bound beside a name, or a high bound."""
    value = tokens[index].value
    after = _text(tokens, index + 1), _text(tokens, index + 2), _text(tokens, index + 3)
    chain = after[0] in ("<", "<=") and after[1].isidentifier() and after[2] in ("<", "<=")
    listed = after[0] == "," and after[1].isidentifier() and after[2] in (")", ",")
    if chain or (listed and tokens[index].call):
        return _closed(tokens, Bounds(value, None), index, index, opens)
    if value is None or value < 3 or _text(tokens, index - 1) not in _COMPARISONS:
        return None
    absolute = any(token.text == "abs" for token in tokens[max(index - 12, 0) : index])
    pair = _closed(tokens, Bounds(None, value, weight=0.8), index, index, opens)
    return replace(pair, low=-pair.high) if absolute and pair.high is not None else pair


def _bounded_name(tokens: Sequence[SourceToken], one: int, last: int) -> str:
    """Return the bounded name: after "1 <=", before "<= 9", or the first other one in the call."""
    if last == one and _text(tokens, one + 1) in _COMPARISONS:
        last = one + 8
    nearby = [*_statement(tokens[one + 1 : last]), *_statement(list(reversed(tokens[max(one - 8, 0) : one])))]
    names = (token.text for token in nearby if token.value is None and not token.called)
    return next((name for name in names if name.isidentifier() and not iskeyword(name)), "")


def _table_use(tokens: Sequence[SourceToken], index: int) -> int | None:
    """Return where a table with the constant is used: BOUNDS = {"add": (-5, 5), "undo": (0, 9)}; None if nowhere."""
    start = index
    while start > 0 and tokens[start - 1].text not in ("\n", ";"):
        start -= 1
    name = tokens[start].text
    if tokens[index].call.isidentifier() or not name.isidentifier() or _text(tokens, start + 1) != "=":
        return None
    return next((later for later in range(index, len(tokens)) if tokens[later].text == name), None)


def _statement(tokens: Sequence[SourceToken]) -> Iterator[SourceToken]:
    return takewhile(lambda token: token.text not in _ENDS, tokens)


def _text(tokens: Sequence[SourceToken], index: int) -> str:
    return tokens[index].text if 0 <= index < len(tokens) else ""
