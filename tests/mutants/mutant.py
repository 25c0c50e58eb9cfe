"""One mistake: a text of a source file, what stands there instead, and the test that must find it.

Decides what a file of this folder may say. A mistake is a text, not a patch with line numbers, so that it still applies
when something else in its file changes; the text must be there exactly once.
"""

import tomllib
from dataclasses import dataclass
from pathlib import Path

__all__ = ["FOLDER", "ROOT", "Mutant", "mutants"]

FOLDER = Path(__file__).parent
ROOT = FOLDER.parents[1]


@dataclass(frozen=True, slots=True)
class Mutant:
    """One mistake.

    Attributes:
        name: of its file.
        why: what is wrong with it, in a line.
        file: the source, from the top of the tree.
        old, new: what stands there, and what does so by mistake.
        test: what must find it, as pytest names it.
        short: True if it is tried in the short form, too.
    """

    name: str
    why: str
    file: str
    old: str
    new: str
    test: str
    short: bool = False

    @classmethod
    def read(cls, path: Path) -> "Mutant":
        """Return the mistake in this TOML file. Raises TypeError for a key too many or too few."""
        said = tomllib.loads(path.read_text(encoding="utf-8"))
        # A block of lines begins on a line of its own and ends with one.
        texts = {key: said[key].removesuffix("\n") for key in ("old", "new") if key in said}
        return cls(name=path.stem, **(said | texts))

    def applied(self, source: str) -> str:
        """Return `source` with the mistake. Raises ValueError if its text is not there exactly once."""
        times = source.count(self.old)
        if times != 1:
            raise ValueError(
                f"{self.name}: the text it replaces is {times} times in {self.file}; it must be there once"
            )
        return source.replace(self.old, self.new)


def mutants() -> list[Mutant]:
    """Return all there are, by name."""
    return [Mutant.read(path) for path in sorted(FOLDER.glob("*.toml"))]
