"""A chart as a page takes it, or a notebook. It must not know how it was drawn."""

from dataclasses import dataclass, field

__all__ = ["Chart"]

# What `style.css` says for light pages: a notebook has no such page around it.
_LIGHT = {"var(--ink)": "#1a2430", "var(--faint)": "#8793a0", "var(--paper)": "#fff", "var(--heat)": "#0072b2"}


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
    svg: str = field(repr=False)  # a notebook keeps the repr beside the drawing
    wide: bool = True

    def _repr_svg_(self) -> str:
        """Return the drawing as a notebook shows it: on white."""
        width = "56rem" if self.wide else "28rem"
        svg = self.svg.replace("<svg ", f'<svg style="background: #fff; width: 100%; max-width: {width}" ', 1)
        for variable, colour in _LIGHT.items():
            svg = svg.replace(variable, colour)
        return svg
