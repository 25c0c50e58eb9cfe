"""Precompiled headers: what most programs of a language begin with, read once for all of them.

Reading `bits/stdc++.h` costs a compiler more than all the rest of most programs. Decides for which headers a compiler
does that ahead, and when: with the third program that begins with one, as making it costs as much as three readings.

A header has a folder of this process, which is removed at its end. Only a compiler sees it, read-only and when it is
complete, and what is in it was made of one line of ours. The compiler itself decides whether a program may use it: not
after a macro that the header looks at, nor after a pragma or a declaration. All programs compile without it, too. So
where it cannot be made, or used, there is none.
"""

import atexit
import contextlib
import functools
import logging
import os
import re
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from balancer.errors import EndpointError
from balancer.program import Language
from balancer.sandbox.local.jail import open_to_others
from balancer.sandbox.local.toolchain import version_of
from balancer.scratch import Scratch

__all__ = ["PrecompiledHeaders", "own_headers"]

_LOGGER = logging.getLogger("balancer")

_WORTH = 3  # programs that begin with a header, until it is precompiled
_FIRST = re.compile(rb"^[ \t]*#[ \t]*include[ \t]*<([^>\n]+)>", re.MULTILINE)


class PrecompiledHeaders:
    """The precompiled headers of one process. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        # The keys are (language, version of its compiler, header).
        self._asked: Counter[tuple[Language, str, str]] = Counter()  # programs that begin with it
        self._made: dict[tuple[Language, str, str], Path] = {}

    def folder(self, language: Language, sources: Iterable[bytes], make: Callable[[str, Path], bool]) -> Path | None:
        """Return the folder of a header that `sources` of a program begin with, if there is one.

        Args:
            language, sources: of the program.
            make: called if the header is due; makes the file, or returns False.

        Raises:
            EndpointError: `make` raised it. The header may be made another time.
        """
        for header in dict.fromkeys(_first_headers(language, sources)):
            key = (language, version_of(language), header)
            with self._lock:
                self._asked[key] += 1
                due = self._asked[key] == _WORTH
            if due:
                self._make(key, make)
            if key in self._made:
                return self._made[key]
        return None

    def _make(self, key: tuple[Language, str, str], make: Callable[[str, Path], bool]) -> None:
        """Have a header made, and show its folder when it is complete. If it fails, there is none."""
        header = key[2]
        try:
            with contextlib.ExitStack() as stack:
                scratch = stack.enter_context(Scratch("balancer-headers-"))
                file = _laid_out(open_to_others(scratch.path) / "shown", header)
                if make(header, file):
                    stack.pop_all()
                    atexit.register(scratch.close)
                    self._made[key] = scratch.path / "shown"
        except EndpointError:  # its executor was closed, or nobody waits any more
            with self._lock:
                self._asked[key] = 0
            raise
        except OSError as error:
            _LOGGER.info("programs compile without a precompiled header %s: %s", header, error)


def _first_headers(language: Language, sources: Iterable[bytes]) -> Iterator[str]:
    """Yield those headers of `language` that one of `sources` begins with."""
    for source in sources:
        if (found := _FIRST.search(source)) and (header := found[1].decode("latin-1")) in language.headers:
            yield header


def _laid_out(folder: Path, header: str) -> Path:
    """Make the folder of a header, and return where it belongs."""
    file = folder / f"{header}.gch"
    file.parent.mkdir(parents=True)
    for each in {folder, file.parent}:
        each.chmod(0o755)
    # What a compiler reads where it may not use the precompiled one, e.g. the second time.
    stands_in = file.with_suffix("")
    stands_in.write_text(f"#include_next <{header}>\n")
    stands_in.chmod(0o444)
    return file


@functools.lru_cache(maxsize=1)
def _headers_of(pid: int) -> PrecompiledHeaders:
    return PrecompiledHeaders()


def own_headers() -> PrecompiledHeaders:
    """Return the precompiled headers of this process. A forked child gets its own."""
    return _headers_of(os.getpid())
