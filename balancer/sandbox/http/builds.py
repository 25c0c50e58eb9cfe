"""Builds: how a program of the table of languages is built and started on a server that takes commands or files.

A build has the program's files, its commands as in the table, and the version of the language. The URL of an endpoint
chooses versions, "?cpp=105&python=109"; the default is the newest.
"""

import base64
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlsplit

from balancer.errors import ConfigError
from balancer.program import Language, Limits, Program
from balancer.sandbox.languages.layout import ProgramLayout, check_name, filled, lay_out

__all__ = ["PROGRAM", "Build", "build_of", "encoded", "newest", "utf8_text", "versions_in"]

PROGRAM = ".program"  # the file that a compiler makes
_MEBIBYTE = 2**20


@dataclass(frozen=True, slots=True)
class Build:
    """Files and commands of a program.

    Attributes:
        language: its language.
        layout: its files, and the templates of its commands.
        given: the files of this run.
        compile: the command that makes `PROGRAM` from them; empty if nothing is compiled.
        pragmatic: the command to try if `compile` refuses; empty for none.
        run: the command that starts the program, with its arguments.
        args: these arguments.
    """

    language: Language
    layout: ProgramLayout
    given: Mapping[str, bytes]
    compile: tuple[str, ...]
    pragmatic: tuple[str, ...]
    run: tuple[str, ...]
    args: tuple[str, ...]

    @property
    def main(self) -> bytes:
        """The source, under the name that its language needs.

        Raises:
            ValueError: another file of the program has that name.
        """
        if self.language.file not in self.layout.sources:
            raise ValueError(f"another file has the name of the source, {self.language.file!r}; rename it")
        return self.layout.files[self.language.file]

    @property
    def flags(self) -> list[str]:
        """The flags of the compile command, without the compiler, the sources and the output."""
        own = {"-o", f"./{PROGRAM}", self.language.file, *self.layout.further}
        return [part for part in self.compile[1:] if part not in own]


def build_of(program: Program, language: Language, limits: Limits, files: Mapping[str, bytes]) -> Build:
    """Return how `program` is built and run with `files`. Raises ValueError if a file name is not allowed."""
    layout = lay_out(language, program)
    for name in (*files, *layout.files):
        if check_name(name) == PROGRAM or (name in files and name in layout.own):
            raise ValueError(f"file name {name!r} is a name of the program itself; rename the file")
    places = {
        "{program}": f"./{PROGRAM}",
        "{output}": f"./{PROGRAM}",
        "{scratch}": "/tmp",
        "{memory}": str(max(1, limits.memory_bytes // _MEBIBYTE)),
    }
    compiles, pragmatic = (
        (*filled(command, places), *layout.further) if command else () for command in (layout.compile, layout.pragmatic)
    )
    return Build(
        language,
        layout,
        given=files,
        compile=compiles,
        pragmatic=pragmatic,
        run=(*filled(layout.run, places), *program.args),
        args=program.args,
    )


def utf8_text(data: bytes) -> str | None:
    """Return `data` as text, because JSON has no bytes; None if it is not UTF-8."""
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return None


def encoded(data: bytes) -> str:
    """Return `data` in base64."""
    return base64.b64encode(data).decode("ascii")


def versions_in(url: str, known: frozenset[str]) -> dict[str, str]:
    """Return the version that `url` chooses for each language.

    Args:
        url: of the endpoint.
        known: the languages that it may name.

    Raises:
        ConfigError: it names something else.
    """
    chosen = dict(parse_qsl(urlsplit(url).query, keep_blank_values=True))
    for name, version in chosen.items():
        if name not in known or not version:
            able = ", ".join(sorted(known))
            raise ConfigError(
                f"endpoint url is {url!r}: its query has {name!r}; it takes versions of languages, as in "
                f'"?cpp=VERSION"; languages are {able}'
            )
    return chosen


def newest(versions: Iterable[str]) -> str:
    """Return the highest of `versions`, which are numbers with dots; "" if there is none.

    Other forms count only if there are no such numbers. A version with a suffix, e.g. "3.10.0-alpha.7", is not
    released.
    """
    return max(versions, key=_order, default="")


def _order(version: str) -> tuple[bool, list[int]]:
    return re.fullmatch(r"[\d.]+", version) is not None, [int(part) for part in re.findall(r"\d+", version)]
