"""Make one C++ source of a program that was written as a source and its own headers.

A program travels to an endpoint as one text, while validators of real archives often come with a
"validate.h" or "testlib.h" beside them. Pure text work: it must not know files, and it never looks at
headers in angle brackets, which are the compiler's.
"""

import re
from collections.abc import Mapping

__all__ = ["inline_headers"]

_INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*"([^"\n]+)".*$', re.MULTILINE)


def inline_headers(source: str, headers: Mapping[str, str]) -> str:
    """Replace each `#include "name"` by the text of `headers[name]`, the first time, and by nothing after that.

    Once is right for headers with a guard, and headers without one cannot be included twice anyway.
    A name that is not in `headers` is left for the compiler.
    """
    pending = dict(headers)

    def insert(match: re.Match[str]) -> str:
        name = match[1].removeprefix("./")
        if name not in headers:
            return match[0]
        text = pending.pop(name, None)
        return "" if text is None else _INCLUDE.sub(insert, text)

    return _INCLUDE.sub(insert, source)
