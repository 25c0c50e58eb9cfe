"""Server reports: the load in the headers of an answer, and the tokens in its body.

It reads the forms of OpenAI's and Anthropic's servers, whole or as a stream of events. It keeps at most a document or a
line, and the end of a long one. It never fails: what cannot be read is skipped, and a count that no call can have makes
all that an answer says of its tokens untold.
"""

import json
import logging
import zlib
from collections.abc import Iterator, Mapping
from contextlib import suppress
from functools import cache
from typing import Any, Final

from balancer.answers import load_of
from balancer.endpoint import Lease
from balancer.errors import LeaseError, PoolForked

__all__ = ["PlainText", "UsageReader", "hear"]

_log = logging.getLogger("balancer.transports")

_MOST: Final = 2**20  # bytes of a document; of a longer one the end is kept
_END: Final = 2**14
_STEP: Final = 2**16
_MARK: Final = b'"usage"'
_TOTAL, _IN, _OUT = "total_tokens", "input_tokens", "output_tokens"
_NAMES: Final = (_TOTAL, _IN, _OUT, "completion_tokens", "prompt_tokens")
_MOST_TOKENS: Final = 10**9  # of a call
_PLAIN: Final = ("", "identity")
_ZIPPED: Final = ("gzip", "x-gzip", "deflate")


def hear(headers: Mapping[str, str], lease: Lease) -> None:
    """Report the load in the headers of an answer to the pool, if there is one."""
    load = load_of(headers)
    if load is not None:
        with suppress(LeaseError, PoolForked):
            lease.told(load)


class PlainText:
    """Decodes a body as it passes. What cannot be decoded is skipped.

    Args:
        encoding: its Content-Encoding. Only gzip and deflate can be read.
    """

    def __init__(self, encoding: str = "") -> None:
        coding = encoding.strip().lower()
        self._unzip = zlib.decompressobj(zlib.MAX_WBITS | 32) if coding in _ZIPPED else None
        self._deaf = self._unzip is None and coding not in _PLAIN

    def parts(self, piece: bytes) -> Iterator[bytes]:
        """Yield the decoded piece in small parts: a few bytes may decode to a lot."""
        unzip = self._unzip
        if self._deaf:
            return
        if unzip is None:
            yield piece
            return
        try:
            while piece and not unzip.eof:
                yield unzip.decompress(piece, _STEP)
                piece = unzip.unconsumed_tail
        except zlib.error:
            self._deaf = True


class UsageReader:
    """Reads a body as it passes. Read `tokens` at its end.

    Args:
        kind: its Content-Type.
        encoding: its Content-Encoding. Only gzip and deflate can be read.
    """

    def __init__(self, kind: str, encoding: str = "") -> None:
        self._plain = PlainText(encoding)
        self._events = "event-stream" in kind.lower()
        self._text = bytearray()  # of the document or, in a stream of events, of the current line
        self._cut = False  # True if its beginning was dropped
        self._found: dict[str, int] = {}
        self._absurd = False  # True if some count was none

    def feed(self, piece: bytes) -> None:
        """Read the next piece."""
        for part in self._plain.parts(piece):
            self._take(part)

    @property
    def tokens(self) -> int | None:
        """How many tokens the call has used, by the whole body; None: it does not say, or nothing that can be."""
        self._document()
        if self._absurd:
            return None
        found = self._found
        if _TOTAL in found:
            return found[_TOTAL]
        return found[_IN] + found[_OUT] if _IN in found and _OUT in found else None

    def _take(self, part: bytes) -> None:
        if self._events:
            *lines, part = part.split(b"\n")
            for line in lines:
                self._keep(line)
                self._document()
        self._keep(part)

    def _keep(self, part: bytes) -> None:
        self._text += part
        if len(self._text) > _MOST:
            self._cut = True
            del self._text[:-_END]

    def _document(self) -> None:
        """Read the kept text, and start again."""
        text, cut = bytes(self._text), self._cut
        self._text.clear()
        self._cut = False
        if _MARK not in text:
            return
        with suppress(ValueError, RecursionError):  # not JSON, or nested too deeply
            said = _end_of(text) if cut else json.loads(text.removeprefix(b"data:") if self._events else text)
            for usage in _usages(said):
                counts = {name: usage[name] for name in _NAMES if usage.get(name) is not None}
                if all(map(_is_count, counts.values())):
                    self._found |= counts
                else:
                    self._absurd = True
                    _warn_of_counts()


def _end_of(text: bytes) -> dict[str, Any]:
    """Return the last usage at the end of a document. Inside a JSON string its quotes would be escaped."""
    rest = text[text.rindex(_MARK) + len(_MARK) :].lstrip().removeprefix(b":").lstrip()
    return {"usage": json.JSONDecoder().raw_decode(rest.decode(errors="replace"))[0]}


def _usages(said: Any) -> Iterator[dict[str, Any]]:
    """Yield each place where an answer, or an event, has its usage. First events may have a part of it."""
    if not isinstance(said, dict):
        return
    for holder in (said.get("message"), said.get("response"), said):
        if isinstance(holder, dict) and isinstance(holder.get("usage"), dict):
            yield holder["usage"]


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _MOST_TOKENS


@cache
def _warn_of_counts() -> None:
    """Log, once in a process, that a server counts what cannot be."""
    _log.warning(
        "the usage of an answer has a count that is no whole number from 0 to %d; the tokens of such answers do not "
        "count; find the server that does this",
        _MOST_TOKENS,
    )
