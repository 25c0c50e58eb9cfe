"""Problem statement of a package, in Markdown or TeX.

Decides which of several is read: the English one, else the one without a language, else the first by name.
"""

import re
from collections.abc import Mapping
from pathlib import PurePosixPath

from balancer.pipeline.packages.constants import fill_constants
from balancer.pipeline.packages.folder import Findings, Folder

__all__ = ["read_statement"]

_PLACES = ("statement", "problem_statement", ".")
_FILE = re.compile(r"problem(?:\.(?P<language>[A-Za-z-]+))?\.(?P<kind>md|tex)")
_CONSTANT = re.compile(r"\\constant\{([\w.]+)\}")


def read_statement(folder: Folder, constants: Mapping[str, str], findings: Findings) -> str:
    """Return the statement; "" if there is none that is text, or that can be read."""
    for place in _PLACES:
        found: list[tuple[int, str]] = []
        with findings.sparing(place):
            for path in folder.entries(place):
                if named := _FILE.fullmatch(PurePosixPath(path).name):
                    found.append((_rank(named["language"]), path))
        for _, path in sorted(found, key=lambda each: each[0]):
            with findings.sparing(path):
                text = fill_constants(folder.text(path), constants)
                return _CONSTANT.sub(lambda place: constants.get(place[1], place[0]), text)
    return ""


def _rank(language: str | None) -> int:
    if language is None:
        return 1
    return 0 if language.lower().split("-")[0] == "en" else 2
