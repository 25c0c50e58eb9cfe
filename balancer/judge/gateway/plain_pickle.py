"""Plain values of a pickle: texts, numbers, lists and dictionaries, and nothing that could do harm. Pure.

A pickle can call any function. So its operations are read first, and only those are allowed that make plain values. An
index that makes the unpickler allocate memory is bounded, too.
"""

import io
import pickle
import pickletools
from typing import Any, Final

__all__ = ["plain_values"]

_ALLOWED: Final = frozenset(
    (
        "PROTO", "FRAME", "STOP", "MARK", "NONE", "NEWTRUE", "NEWFALSE", "BININT", "BININT1", "BININT2", "LONG1",
        "BINFLOAT", "SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8", "EMPTY_LIST", "APPEND", "APPENDS", "LIST",
        "EMPTY_DICT", "SETITEM", "SETITEMS", "DICT", "EMPTY_TUPLE", "TUPLE", "TUPLE1", "TUPLE2", "TUPLE3", "MEMOIZE",
        "BINPUT", "LONG_BINPUT", "BINGET", "LONG_BINGET",
    )
)  # fmt: skip
_MOST: Final = 1_000_000  # operations


class _NothingCalled(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        raise pickle.UnpicklingError(f"it names {module}.{name}")


def plain_values(data: bytes) -> Any:
    """Return the values of a pickle.

    Raises:
        ValueError: it is no pickle, or has other than plain values.
    """
    try:
        for number, (operation, argument, _) in enumerate(pickletools.genops(data)):
            put = "PUT" in operation.name and isinstance(argument, int) and argument > len(data)
            if operation.name not in _ALLOWED or put or number >= _MOST:
                raise ValueError(f"it has {operation.name}")
        return _NothingCalled(io.BytesIO(data)).load()
    except Exception as error:  # a broken pickle raises anything
        raise ValueError(f"not a pickle of plain values: {type(error).__name__}: {str(error)[:100]}") from None
