"""Constants of a package, filled in where its texts name them: `{{name}}` or `{{name.variant}}` (format of 2025-09).

Pure text work. A name that is not defined stays as it is, for it may be anything.
"""

import re
from collections.abc import Mapping

__all__ = ["fill_constants"]

_PLACE = re.compile(r"\{\{([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)?)\}\}")


def fill_constants(text: str, constants: Mapping[str, str]) -> str:
    """Return `text` with the value of each constant that it names."""
    return _PLACE.sub(lambda place: constants.get(place[1], place[0]), text) if constants else text
