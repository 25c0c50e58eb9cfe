"""Precompiled headers: what most programs of a language begin with, read once for all of them.

Reading `bits/stdc++.h` costs a compiler more than all the rest of most programs. Decides for which headers a compiler
does that ahead, and when: with the third program that begins with one, as making it costs as much as three readings.
Others do not wait for it.

The folder belongs to this process, and is removed at its end. Only a compiler sees it, read-only, and what is in it was
made of one line of ours. The compiler itself decides whether a program may use it: not after a macro that the header
looks at, nor after a pragma or a declaration.
"""

import atexit
import functools
import hashlib
import os
import re
import threading
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from balancer.language import Language
from balancer.sandbox.local.jail import open_to_others
from balancer.sandbox.local.toolchain import version_of
from balancer.scratch import Scratch

__all__ = ["PrecompiledHeaders", "own_headers"]

_WORTH = 3  # programs that begin with a header, until it is precompiled
_FIRST = re.compile(rb"^[ \t]*#[ \t]*include[ \t]*<([^>\n]+)>", re.MULTILINE)


class PrecompiledHeaders:
    """The precompiled headers of one process. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._scratch: Scratch | None = None
        self._asked: Counter[tuple[str, str]] = Counter()  # (folder, header) -> programs that begin with it
        self._begun: set[tuple[str, str]] = set()

    def due(self, language: Language, sources: Iterable[bytes]) -> str | None:
        """Count the headers that `sources` of a program begin with. Return one that the caller must make, or None."""
        first = {found[1].decode("latin-1") for source in sources if (found := _FIRST.search(source))}
        name = _name(language)
        with self._lock:
            for header in sorted(first.intersection(language.headers)):
                self._asked[name, header] += 1
                if self._asked[name, header] >= _WORTH and (name, header) not in self._begun:
                    self._begun.add((name, header))
                    return header
        return None

    def place(self, language: Language, header: str) -> Path:
        """Return where a precompiled header belongs. Makes the folder."""
        with self._lock:
            if self._scratch is None:
                self._scratch = Scratch("balancer-headers-")
                open_to_others(self._scratch.path)
                atexit.register(self._scratch.close)
            file = self._scratch.path / _name(language) / f"{header}.gch"
            for folder in (file.parent.parent, file.parent):
                if folder != self._scratch.path and not folder.exists():
                    folder.mkdir()
                    folder.chmod(0o755)
            # What a compiler reads where it may not use the precompiled one, e.g. the second time.
            stands_in = file.with_suffix("")
            if not stands_in.exists():
                stands_in.write_text(f"#include_next <{header}>\n")
                stands_in.chmod(0o444)
        return file

    def give_up(self, language: Language, header: str) -> None:
        """Let the next program have the header made: its maker was stopped."""
        with self._lock:
            self._begun.discard((_name(language), header))

    def folder(self, language: Language) -> Path | None:
        """Return the folder of the headers of `language`; None if none was begun."""
        with self._lock:
            if self._scratch is None:
                return None
            folder = self._scratch.path / _name(language)
        return folder if folder.exists() else None


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
