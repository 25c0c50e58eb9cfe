"""Read the project's Markdown: its code blocks, links and tables. Knows only what the documents use of it."""

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

__all__ = ["DOCUMENTS", "ROOT", "Block", "anchors", "blocks", "links", "name_of", "prose", "rows"]

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = sorted(
    {
        *ROOT.glob("*.md"),
        *(ROOT / "docs").rglob("*.md"),
        *(ROOT / "examples" / "plugin").glob("*.md"),
    }
)

_FENCE = "```"
_MARK = re.compile(r"<!-- no-run:(.*)-->")
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block of code.

    Attributes:
        document, line: where its first line of code stands, from 1.
        language: the word after the fence, "" if there is none.
        code: the lines, without the fences.
        reason: why it is not to be run, or None if it is.
    """

    document: Path
    line: int
    language: str
    code: str
    reason: str | None

    def __str__(self):
        return f"{name_of(self.document)}:{self.line}"


def name_of(document):
    """Return the path of `document` as people write it."""
    return str(document.relative_to(ROOT))


@cache
def blocks(document):
    """Return the fenced blocks of `document`. A fence must not be indented, or the block could be missed."""
    found = []
    language, start, before = None, 0, ""
    lines = document.read_text(encoding="utf-8").splitlines()
    for number, line in enumerate(lines, start=1):
        if line.lstrip().startswith(_FENCE):
            assert line.startswith(_FENCE), f"{name_of(document)}:{number}: the fence is indented; move it to the left"
            if language is None:
                language, start = line.removeprefix(_FENCE).strip(), number
            else:
                marked = _MARK.fullmatch(before)
                code = "\n".join(lines[start : number - 1])
                found.append(Block(document, start + 1, language, code, marked[1].strip() if marked else None))
                language = None
        if language is None and line.strip():
            before = line.strip()
    assert language is None, f"{name_of(document)}:{start}: the block has no end"
    return tuple(found)


def prose(document):
    """Return `document` without its blocks of code."""
    return re.sub(r"^```.*?^```", "", document.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)


def links(document):
    """Return the targets of all links that do not lead out of the project."""
    return [target for target in _LINK.findall(prose(document)) if not re.match(r"[a-z]+:", target)]


def anchors(document):
    """Return what a link to a heading of `document` may say after "#", as GitHub makes it."""
    headings = re.findall(r"^#+ (.+)$", prose(document), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def rows(document, heading):
    """Yield the rows of the table below `heading`, cell by cell, without its head."""
    section = re.split(rf"^#+ {re.escape(heading)}$", document.read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert len(section) == 2, f"{name_of(document)} has {len(section) - 1} headings {heading!r}, not one"
    body = re.split(r"^#", section[1], maxsplit=1, flags=re.MULTILINE)[0]
    table = [line for line in body.splitlines() if line.startswith("|")]
    assert len(table) > 2, f"{name_of(document)}: there is no table below {heading!r}"
    for line in table[2:]:
        yield [cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip().strip("|"))]
