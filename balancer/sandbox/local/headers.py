"""Precompiled headers: what most programs of a language begin with, read once for all of them.

Reading `bits/stdc++.h` costs a compiler more than all the rest of most programs. Decides for which headers a compiler
does that ahead, and when: with the third program that begins with one, as making it costs as much as three readings.
No program waits for that: a thread does it.

A header has a folder of this process, which is removed at its end. Only a compiler sees it, read-only and when it is
complete, and what is in it was made of one line of ours. The compiler itself decides whether a program may use it: not
after a macro that the header looks at, nor after a pragma or a declaration. All programs compile without it, too. So
where it cannot be made, or used, there is none.
"""

import atexit
import contextlib
import functools
import hashlib
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
        # The keys are (language and flags, header).
        self._asked: Counter[tuple[str, str]] = Counter()  # programs that begin with it
        self._begun: set[tuple[str, str]] = set()
        self._made: dict[tuple[str, str], Path] = {}

    def due(self, language: Language, sources: Iterable[bytes]) -> str | None:
        """Count the headers that `sources` of a program begin with. Return one that the caller must make, or None."""
        name = _name(language)
        with self._lock:
            for header in dict.fromkeys(_first_headers(language, sources)):
                key = (name, header)
                self._asked[key] += 1
                if self._asked[key] >= _WORTH and key not in self._begun:
                    self._begun.add(key)
                    return header
        return None

    def make(self, language: Language, header: str, compiled: Callable[[Path], bool]) -> None:
        """Have a header made that is due, and show its folder when it is complete. If it fails, there is none.

        Args:
            language, header: which one.
            compiled: makes the file, or returns False. An `EndpointError` means that it may be made another time.
        """
        key = (_name(language), header)
        try:
            with contextlib.ExitStack() as stack:
                scratch = stack.enter_context(Scratch("balancer-headers-"))
                file = _laid_out(open_to_others(scratch.path) / "shown", header)
                if compiled(file):
                    stack.pop_all()
                    atexit.register(scratch.close)
                    with self._lock:
                        self._made[key] = scratch.path / "shown"
        except EndpointError:  # its executor was closed
            with self._lock:
                self._begun.discard(key)
        except OSError as error:
            _LOGGER.info("programs compile without a precompiled header %s: %s", header, error)
        except Exception:
            _LOGGER.exception("a header could not be precompiled")

    def folder(self, language: Language, sources: Iterable[bytes]) -> Path | None:
        """Return the folder of a header that `sources` of a program begin with; None if none was made."""
        name = _name(language)
        with self._lock:
            made = (self._made.get((name, header)) for header in _first_headers(language, sources))
            return next(filter(None, made), None)


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


def _name(language: Language) -> str:
    """Return a name for the headers of a language: another one for another compiler or other flags."""
    told = "\0".join((language.name, version_of(language), *language.precompile))
    return hashlib.sha256(told.encode()).hexdigest()


@functools.lru_cache(maxsize=1)
def _headers_of(pid: int) -> PrecompiledHeaders:
    return PrecompiledHeaders()


def own_headers() -> PrecompiledHeaders:
    """Return the precompiled headers of this process. A forked child gets its own."""
    return _headers_of(os.getpid())
