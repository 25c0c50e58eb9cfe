"""Packed texts: LiveCodeBench's private tests, which are JSON in a pickle that is compressed, as base64. Pure.

The pickle may come from anywhere, so it is not unpickled: it must be a single text, which is read off its operations.
"""

import base64
import pickletools
import re
import zlib
from itertools import islice
from typing import Any

__all__ = ["is_packed", "unpacked"]

_MOST = 2**30  # bytes of one text
_TEXT = frozenset({"UNICODE", "SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8"})  # operations: one of these, and these:
_AROUND = frozenset({"PROTO", "FRAME", "PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE", "STOP"})
_OPERATIONS = 16  # at most; pickles of a text have up to 5
_BEGINS = re.compile(r"e[A-Za-z0-9+/]{7}")  # how compressed bytes begin in base64


def is_packed(text: str) -> bool:
    """Return whether a text looks packed, and not like JSON."""
    return _BEGINS.match(text) is not None


def unpacked(text: str) -> str:
    """Return the text that is packed in `text`. Raises ValueError, in one line."""
    try:
        inflater = zlib.decompressobj()
        data = inflater.decompress(base64.b64decode(text, validate=True), _MOST)
        if inflater.unconsumed_tail:
            raise ValueError(f"it has more than {_MOST // 2**20} MiB")
        operations = islice(pickletools.genops(data), _OPERATIONS)
        texts: list[Any] = []
        names: list[str] = []
        for opcode, value, _ in operations:
            names.append(opcode.name)
            if opcode.name in _TEXT:
                texts.append(value)
            elif opcode.name not in _AROUND:
                break
    except Exception as error:  # a broken pickle may raise anything
        why = f"{type(error).__name__}: {ascii(str(error))[1:-1][:100]}"
        raise ValueError(f"is neither JSON nor base64 of a compressed pickle: {why}") from None
    if names[-1] != "STOP" or len(texts) != 1:
        raise ValueError(f"its pickle has {', '.join(names)[-80:]}; it must hold a single text, of JSON")
    return str(texts[0])
