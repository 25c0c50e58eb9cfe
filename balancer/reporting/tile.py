"""A headline figure as a page takes it. It must not know how it is shown."""

from dataclasses import dataclass
from enum import Enum

__all__ = ["Tile", "Tone"]


class Tone(Enum):
    """Whether a figure is as one would wish it."""

    PLAIN = "plain"
    GOOD = "good"
    BAD = "bad"


@dataclass(frozen=True, slots=True)
class Tile:
    """One figure: what it is, its value, and a word on it."""

    label: str
    value: str
    note: str
    tone: Tone = Tone.PLAIN
