"""Ordered, exactly-once delivery: numbered frames, acknowledgements, resends.

Decides which frame is written next, which is written again, and which words that arrive are new. As TCP does it, with
whole frames: they are numbered, the other side says up to which it has heard, and what was not heard is said again. A
session survives a connection that breaks because its numbers go on in the next one. It must not know what words mean.
"""

from collections import deque
from math import inf
from typing import Any

__all__ = ["Channel"]

_MOST = 64  # frames on their way; beyond that words wait, so that a peer that is away costs no more than the words


class Channel:
    """One side of a session.

    Args:
        again_s: a frame that was not heard for so long is written again.

    Attributes:
        again_s: likewise.
        got: the number of the last frame that was heard.
    """

    __slots__ = ("_due_s", "_number", "_unheard", "_words", "again_s", "got")

    def __init__(self, again_s: float) -> None:
        self.again_s = again_s
        self._words: list[Any] = []
        self._unheard: deque[tuple[int, tuple[Any, ...]]] = deque()
        self._number = 0
        self._due_s = inf
        self.got = 0

    @property
    def has_words(self) -> bool:
        """True if there are words for a new frame, and room for it."""
        return bool(self._words) and len(self._unheard) < _MOST

    @property
    def due_s(self) -> float:
        """When something that was not heard is to be said again; `inf`: all was heard."""
        return self._due_s

    def say(self, word: object) -> None:
        """Say `word` in the next frame."""
        self._words.append(word)

    def hear(self, number: int, got: int, words: tuple[Any, ...], now: float) -> tuple[Any, ...]:
        """Return the words of a frame that are new, in order; and forget what the other side has heard."""
        unheard = self._unheard
        if unheard and unheard[0][0] <= got:
            while unheard and unheard[0][0] <= got:
                unheard.popleft()
            self._due_s = now + self.again_s if unheard else inf
        if number != self.got + 1:  # heard before, or one is missing before it
            return ()
        self.got = number
        return words

    def frames(self, now: float, *, again: bool = False) -> list[tuple[int, tuple[Any, ...]]]:
        """Return what is to be sent now: what was not heard in time, or all of that if `again`, and what is new."""
        again = again or now >= self._due_s
        sent = list(self._unheard) if again else []
        if self.has_words:
            self._number += 1
            frame = self._number, tuple(self._words)
            self._words.clear()
            self._unheard.append(frame)
            sent.append(frame)
        if sent and (again or self._due_s == inf):
            self._due_s = now + self.again_s
        return sent
