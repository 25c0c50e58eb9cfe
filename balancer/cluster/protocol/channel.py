"""Ordered, exactly-once delivery: numbered frames, acknowledgements, resends.

It works as TCP does, with whole frames. A frame carries words (single messages) and has a number. The other side
acknowledges the last number that it has received, and frames without an acknowledgement are sent again. The numbers go
on in the next connection, so a session survives a broken one.
"""

from collections import deque
from math import inf
from typing import Any, Final

__all__ = ["MOST_WORDS", "Channel"]

MOST_WORDS: Final = 4096
"""Words of one frame: a frame is read in one step, and nobody else is heard meanwhile."""

_MOST = 64  # frames without an acknowledgement; further words wait, so that an absent peer costs only the words


class Channel:
    """One side of a session.

    Args:
        again_s: a frame that is not acknowledged after so many seconds is sent again.

    Attributes:
        again_s: as given.
        got: the number of the last frame that was received.
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
        """When frames without an acknowledgement are sent again; inf: there are none."""
        return self._due_s

    def say(self, word: object) -> None:
        """Send `word` in the next frame."""
        self._words.append(word)

    def hear(self, number: int, got: int, words: tuple[Any, ...], now: float) -> tuple[Any, ...]:
        """Return the words of a received frame if it is new. Forget the frames that it acknowledges."""
        unheard = self._unheard
        if unheard and unheard[0][0] <= got:
            while unheard and unheard[0][0] <= got:
                unheard.popleft()
            self._due_s = now + self.again_s if unheard else inf
        if number != self.got + 1:  # received before, or an earlier one is missing
            return ()
        self.got = number
        return words

    def frames(self, now: float, *, again: bool = False) -> list[tuple[int, tuple[Any, ...]]]:
        """Return the frames to send now: new ones, and unacknowledged ones if they are due or `again` is True."""
        again = again or now >= self._due_s
        sent = list(self._unheard) if again else []
        while self.has_words:
            frame = self._number + 1, tuple(self._words[:MOST_WORDS])
            # No call but the last: an interrupt comes at a call, and each word is in exactly one place.
            self._number += 1
            del self._words[:MOST_WORDS]
            self._unheard.append(frame)
            sent.append(frame)
        if sent and (again or self._due_s == inf):
            self._due_s = now + self.again_s
        return sent
