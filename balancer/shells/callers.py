"""Where in a user's code the pool was called.

Decides which frame that is: the nearest one that is not of this package. It must not know what it is for.
"""

import sys
from os.path import dirname, sep

__all__ = ["place_of_call"]

_PACKAGE = dirname(dirname(__file__)) + sep


def place_of_call() -> str:
    """Return file and line of the nearest caller outside of this package; "" if there is none."""
    frame = sys._getframe(1)
    while frame is not None:
        if not frame.f_code.co_filename.startswith(_PACKAGE):
            return f"{frame.f_code.co_filename}:{frame.f_lineno}"
        frame = frame.f_back  # type: ignore[assignment]
    return ""
