"""An extension of griffe: an entry of a docstring for several names becomes an entry for each of them.

Docstrings say `failures, overloads: leases that ended so.`; griffe takes what stands behind the comma for a type.
"""

import re
from typing import Any

from griffe import Extension, Object

_ENTRY = re.compile(r"^( +)(\w+(?:, \w+)+): (.*(?:\n\1 +.*)*)$", re.MULTILINE)


class EachName(Extension):
    """Splits entries before they are parsed."""

    def on_object(self, *, obj: Object, **kwargs: Any) -> None:
        """Rewrite the docstring of `obj`, if it has one."""
        if obj.docstring is not None:
            obj.docstring.value = _ENTRY.sub(_split, obj.docstring.value)


def _split(entry: re.Match[str]) -> str:
    return "\n".join(f"{entry[1]}{name}: {entry[3]}" for name in entry[2].split(", "))
