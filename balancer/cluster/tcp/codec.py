"""Codec of cluster messages: MessagePack with types that are checked when read (msgspec).

A message is four bytes with its length, then [kind, message]. Words within a frame are [kind, word] each. Each side can
read only the other side's kinds, so a member cannot grant. Types and values of all input are checked before a
coordinator or a member gets it.
"""

import math
import struct
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from balancer.cluster.protocol import messages as m
from balancer.cluster.protocol.channel import MOST_WORDS

__all__ = [
    "LONGEST",
    "VERSION",
    "Closing",
    "MessageSplitter",
    "Opening",
    "ProcessIdentity",
    "WireError",
    "encoded",
    "read_from_coordinator",
    "read_from_member",
]

VERSION: Final = 3
LONGEST: Final = 16 * 2**20  # bytes of a message: about 100 000 leases at the start of a session
_LENGTH = struct.Struct(">I")


class WireError(Exception):
    """Bytes that are not a message, or a message with impossible values."""


@dataclass(frozen=True, slots=True)
class ProcessIdentity:
    """Where a process runs, so that a server on the same machine can see whether it has died."""

    boot: str
    pids: str
    pid: int
    started: str


@dataclass(frozen=True, slots=True)
class Opening:
    """The first message of a connection, from the member."""

    version: int
    token: str
    who: m.MemberId
    local: ProcessIdentity | None


@dataclass(frozen=True, slots=True)
class Closing:
    """The last message of a connection that the server refuses: the reason, in a line."""

    why: str


def _plain(value: Any) -> Any:
    """Convert our own mappings (headers, named metrics) to types that MessagePack knows."""
    return dict(value)


_encode = msgspec.msgpack.Encoder(enc_hook=_plain).encode

_HEADS: dict[int, type] = {
    0: Opening,
    1: m.JoinRequest,
    2: m.SessionStart,
    3: m.MemberFrame,
    10: Closing,
    11: m.SessionOffer,
}
_HEADS |= {12: m.SessionAccepted, 13: m.CoordinatorFrame}
_WORDS: dict[int, type] = {
    0: m.LeaseRequested, 1: m.RequestAmended, 2: m.RequestCancelled, 3: m.LeaseEnded, 4: m.TokensUsed,
    5: m.LoadReported, 6: m.ProbeReported, 7: m.CallCounted, 8: m.MemberLeft,
    20: m.EndpointListed, 21: m.LeasesGranted, 22: m.RequestRefused, 23: m.EndpointsOut, 24: m.IdleRecalled,
    25: m.PoolChanged,
}  # fmt: skip
_HEAD_NUMBER = {kind: number for number, kind in _HEADS.items()}
_WORD_NUMBER = {kind: number for number, kind in _WORDS.items()}


def encoded(message: object) -> bytes:
    """Return `message` as bytes, with its length."""
    number = _HEAD_NUMBER[type(message)]
    if isinstance(message, m.MemberFrame):
        words = [(_WORD_NUMBER[type(word)], word) for word in message.words]
        said: Any = (message.who, message.epoch, message.session, message.sent_s, message.number, message.got, words)
    elif isinstance(message, m.CoordinatorFrame):
        words = [(_WORD_NUMBER[type(word)], word) for word in message.words]
        said = (message.epoch, message.session, message.heard_s, message.number, message.got, words)
    else:
        said = message
    body = _encode((number, said))
    return _LENGTH.pack(len(body)) + body


_Words = list[tuple[int, msgspec.Raw]]
_LETTER = tuple[m.MemberId, int, int, float, int, int, _Words]
_REPLY = tuple[int, int, float, int, int, _Words]


class _Reader:
    """Reads the messages of one side."""

    def __init__(self, heads: Iterable[int], words: Iterable[int]) -> None:
        self._outer = msgspec.msgpack.Decoder(tuple[int, msgspec.Raw])
        shapes: dict[int, Any] = {**_HEADS, 3: _LETTER, 13: _REPLY}
        self._heads = {number: msgspec.msgpack.Decoder(shapes[number]) for number in heads}
        self._words: dict[int, Any] = {number: msgspec.msgpack.Decoder(_WORDS[number]) for number in words}

    def __call__(self, body: bytes | memoryview) -> Any:
        """Return the message of these bytes. Raises WireError."""
        try:
            number, raw = self._outer.decode(body)
            said: Any = self._heads[number].decode(raw)
            if number == 3:
                who, epoch, session, sent_s, count, got, words = said
                if len(words) > MOST_WORDS:
                    raise ValueError(f"a frame has {len(words)} words; at most {MOST_WORDS} are allowed")
                message: Any = m.MemberFrame(who, epoch, session, sent_s, count, got, self._said(words))
            elif number == 13:
                epoch, session, heard_s, count, got, words = said
                message = m.CoordinatorFrame(epoch, session, heard_s, count, got, self._said(words))
            else:
                message = said
            _check(message)
        except (msgspec.MsgspecError, KeyError, ValueError, TypeError, RecursionError) as error:
            raise WireError(f"{type(error).__name__}: {error}") from None
        return message

    def _said(self, words: _Words) -> tuple[Any, ...]:
        return tuple(self._words[number].decode(raw) for number, raw in words)


read_from_member: Callable[[bytes | memoryview], Any] = _Reader((0, 1, 2, 3), range(9))
"""Read a message of a member. Raises WireError."""

read_from_coordinator: Callable[[bytes | memoryview], Any] = _Reader((10, 11, 12, 13), range(20, 26))
"""Read a message of a server. Raises WireError."""


class MessageSplitter:
    """Splits arriving bytes into messages.

    Attributes:
        longest: the most bytes of a message.
    """

    def __init__(self, longest: int = LONGEST) -> None:
        self._bytes = bytearray()
        self.longest = longest

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Yield the bodies of the messages that are complete now. Raises WireError for one that is too long."""
        held = self._bytes
        held += data
        at = 0
        while len(held) - at >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(held, at)
            if length > self.longest:
                raise WireError(f"a message of {length} bytes; at most {self.longest} are allowed")
            if len(held) - at < _LENGTH.size + length:
                break
            at += _LENGTH.size
            yield bytes(held[at : at + length])
            at += length
        del held[:at]


# -- what may be said ------------------------------------------------------------------------------


def _check(message: Any) -> None:
    if isinstance(message, m.MemberFrame):
        _finite(message.sent_s)
        for word in message.words:
            check = _CHECKS.get(type(word))
            if check is not None:
                check(word)
    elif isinstance(message, m.SessionStart):
        _finite(message.sent_s)
        for held in message.held:
            _at_least(held.slots, 1)
            _finite(held.held_s)
            if held.tokens is not None:
                _at_least(held.tokens, 0)
    elif isinstance(message, m.JoinRequest):
        _finite(message.sent_s)


def _check_request(word: m.LeaseRequested | m.RequestAmended) -> None:
    _at_least(word.request.slots, 1)
    if word.request.tokens is not None:
        _at_least(word.request.tokens, 0)


def _check_ask(word: m.LeaseRequested) -> None:
    _check_request(word)
    _at_least(word.timeout_s, 0)
    _finite(word.waited_s)
    if abs(word.priority) > 1_000_000:
        raise ValueError(f"priority {word.priority}")


def _check_end(word: m.LeaseEnded) -> None:
    _finite(word.used_s)


def _check_used(word: m.TokensUsed) -> None:
    _at_least(word.tokens, 0)


_CHECKS: dict[type, Callable[[Any], None]] = {
    m.LeaseRequested: _check_ask,
    m.RequestAmended: _check_request,
    m.LeaseEnded: _check_end,
    m.TokensUsed: _check_used,
}


def _at_least(value: float, least: int) -> None:
    if not value >= least:  # also refuses NaN
        raise ValueError(f"{value} is less than {least}")


def _finite(value: float) -> None:
    if not math.isfinite(value):
        raise ValueError(f"{value} is not a time")
