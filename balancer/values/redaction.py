"""Redaction: secrets in texts, and the text that replaces them."""

import json
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Self

__all__ = ["Redaction", "ShownNames", "in_one_line", "plain_name", "refuse_halves", "with_whole_characters"]

_USER = re.compile(r"(?<=://)[^/?#]*@")
_QUERY = re.compile(r"[?#].*")
_RANGE = re.compile(r"\{(\d+)\.\.(\d+)\}")
_MOST_SHOWN = 50_000  # names that are kept apart at once


@dataclass(frozen=True, slots=True)
class Redaction:
    """Replaces secrets in a text."""

    _pattern: re.Pattern[str] | None = None
    _stand_ins: tuple[str, ...] = ()

    @classmethod
    def of(cls, secrets: Iterable[tuple[str, str]], *, least: int = 1) -> Self:
        """Return a redaction of `secrets`, each with its replacement.

        A secret is found in any case, with any white space for its own, as `repr` and JSON write it, and with any
        number in place of a range such as {1..4}.

        Args:
            secrets: a secret and its replacement; an empty secret is ignored.
            least: a secret with fewer characters, ranges not counted, is replaced only if it is the whole text.
        """
        longest_first = sorted({(text, shown) for text, shown in secrets if text}, key=lambda pair: -len(pair[0]))
        if not longest_first:
            return cls()
        groups = [_group(text, whole=len(_RANGE.sub("", text)) < least) for text, _ in longest_first]
        pattern = re.compile("|".join(groups), re.IGNORECASE)
        return cls(pattern, tuple(shown for _, shown in longest_first))

    def __call__(self, text: str) -> str:
        """Return `text` without the secrets."""
        if self._pattern is None:
            return text
        return self._pattern.sub(lambda match: self._stand_ins[(match.lastindex or 1) - 1], text)


def plain_name(name: str) -> str:
    """Return the name of an endpoint. A URL loses its user and query, which may be secrets."""
    return _QUERY.sub("", _USER.sub("", name)) if "://" in name else name


def refuse_halves(name: str, text: str) -> None:
    """Raise ValueError if `text` has half of a character (a surrogate): no page, file or network can hold that."""
    if not text.isascii() and any("\ud800" <= sign <= "\udfff" for sign in text):
        raise ValueError(f"{name} has half of a character (a surrogate pair), which is no text; take it out")


def with_whole_characters(text: str) -> str:
    """Return `text` with a question mark for each half of a character (a surrogate), which no answer can hold."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def in_one_line(text: str, most: int) -> str:
    """Return a text of somebody else for a line of a log: cut, and without what does not print.

    Each word with a URL loses the URL's user and query.

    Args:
        text: any text; secrets that are known have been taken out.
        most: characters to keep.
    """
    words = " ".join(plain_name(word) for word in text[: 10 * most].split())
    shown = "".join(sign if sign.isprintable() else "?" for sign in words)
    return shown if len(shown) <= most else shown[: most - 3] + "..."


class ShownNames:
    """The shown names of endpoints: URLs without user and query, all different.

    Args:
        redact: takes further secrets out of a name.
    """

    def __init__(self, redact: Callable[[str], str] | None = None) -> None:
        self._redact = redact or str
        self._shown: dict[str, str] = {}
        self._taken: set[str] = set()

    def plain(self, name: str) -> str:
        """Return `name` without secrets. Several names may get the same. Nothing is remembered."""
        return self._redact(plain_name(name))

    def without_secrets(self, text: str) -> str:
        """Return `text` without the further secrets."""
        return self._redact(text)

    def __call__(self, name: str) -> str:
        """Return the shown name of `name`, the same until tens of thousands of others have been shown."""
        shown = self._shown.get(name)
        if shown is None:
            if len(self._shown) >= _MOST_SHOWN:  # nearly all have gone: endpoints come and go
                self._shown.clear()
                self._taken.clear()
            plain = self.plain(name)
            shown, number = plain, 1
            while shown in self._taken:
                number += 1
                shown = f"{plain} ({number})"
            self._taken.add(shown)
            self._shown[name] = shown
        return shown


def _group(secret: str, *, whole: bool) -> str:
    forms = {secret, repr(secret)[1:-1], json.dumps(secret)[1:-1]}
    either = "|".join(map(_as_pattern, sorted(forms, key=len, reverse=True)))
    return rf"(\A(?:{either})\Z)" if whole else f"({either})"


def _as_pattern(text: str) -> str:
    """Return a pattern for `text`, in which white space matches any, and a range any number."""
    pieces = re.split(r"(\s+|\{\d+\.\.\d+\})", text)
    return "".join(_piece(piece) for piece in pieces)


def _piece(piece: str) -> str:
    if piece.isspace():
        return r"\s+"
    return rf"(?:{re.escape(piece)}|\d+)" if _RANGE.fullmatch(piece) else re.escape(piece)
