"""Constants of the submissions: whole numbers and words at which a program may decide otherwise. Nothing is run."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import groupby

from balancer.pipeline.generators.learn.source_tokens import lex
from balancer.problem import Submission

__all__ = ["constants_of"]

_LEAST = 3  # smaller ones are tried anyway
_SMALL = 20  # ones up to this are mostly tried anyway
_MOST_BYTES = 50_000  # of a source
_MOST = 60  # numbers
_MOST_WORDS = 12
_MOST_LETTERS = 8  # of a word that is compared letter by letter
_WORD = re.compile(r"[a-zA-Z]{0,2}[\"'](\w{1,30})[\"']")


@lru_cache(maxsize=16)
def constants_of(submissions: Sequence[Submission]) -> tuple[int | str, ...]:
    """Return the constants: of wrong submissions first, then those in the fewest sources; small numbers, words last."""
    numbers: Counter[int] = Counter()
    words: Counter[str] = Counter()
    wrong: set[int | str] = set()
    for each in submissions:
        if len(each.program.source) > _MOST_BYTES:
            continue
        tokens, texts = lex(each.program.source, python=each.program.language == "python")
        its_numbers = {token.value for token in tokens if token.value is not None and token.value >= _LEAST}
        its_words = set(_words_in(texts))
        numbers.update(its_numbers)
        words.update(its_words)
        if not each.accepted:
            wrong |= its_numbers | its_words
    return (
        *sorted(numbers, key=lambda value: (value <= _SMALL, value not in wrong, numbers[value], value))[:_MOST],
        *sorted(words, key=lambda word: (word not in wrong, words[word], word))[:_MOST_WORDS],
    )


def _words_in(texts: Sequence[str]) -> Iterator[str]:
    """Yield the words in strings, and single letters one after the other as one word: 'a' and then 'e' are "ae"."""
    matched = (match[1] if (match := _WORD.fullmatch(text)) is not None else "" for text in texts)
    for length, several in groupby(matched, len):
        words = list(several)
        if length > 1:
            yield from words
        elif length and 1 < len(words) <= _MOST_LETTERS:
            yield "".join(words)
