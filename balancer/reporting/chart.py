"""A chart as a page takes it. It must not know how it was drawn."""

from dataclasses import dataclass

__all__ = ["Chart"]


@dataclass(frozen=True, slots=True)
class Chart:
    """A drawing and its words.

    Attributes:
        title: a heading.
        caption: how to read it, and what was left out.
        svg: an `<svg>` element, safe to be put into a page as it is.
        wide: True if it needs the whole width of a page.
    """

    title: str
    caption: str
    svg: str
    wide: bool = True
