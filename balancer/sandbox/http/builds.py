"""How a program of the table of languages is built and started on a server that takes commands or files.

Decides which files a program is made of and what its commands are, in the words of the table. It must not know how
they are sent.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from balancer.language import Language
from balancer.program import Limits, Program
from balancer.sandbox.languages.known import known_languages
from balancer.sandbox.languages.layout import check_name, lay_out

__all__ = ["PROGRAM", "Build", "build_of", "tools_of"]

PROGRAM = ".program"  # the file that a compiler makes
_MEBIBYTE = 2**20


def tools_of(language: Language) -> frozenset[str]:
    """Return the commands that a server must have to build and run programs of `language`."""
    run = {"python3"} if "{python}" in language.run else set()
    return frozenset(run.union(language.tools))


@dataclass(frozen=True, slots=True)
class Build:
    """What a program is made of.

    Attributes:
        language: its language.
        sources: its source, and what is made from it.
        extras: its other files; they are there when it is built and when it runs.
        given: the files of this run.
        compile: the command that makes `PROGRAM` from them; empty if there is nothing to compile.
        pragmatic: the one that is tried where `compile` refuses; empty for none.
        run: the command that starts it, with its arguments.
        args: these arguments.
        further: those of the compile command that name further sources.
    """

    language: Language
    sources: Mapping[str, bytes]
    extras: Mapping[str, bytes]
    given: Mapping[str, bytes]
    compile: tuple[str, ...]
    pragmatic: tuple[str, ...]
    run: tuple[str, ...]
    args: tuple[str, ...]
    further: tuple[str, ...]

    @property
    def main(self) -> bytes:
        """The source, under the name that its language gives it.

        Raises:
            ValueError: another file of the program has that name.
        """
        if self.language.file not in self.sources:
            raise ValueError(f"another file of the program is named {self.language.file!r}, like its source here")
        return self.sources[self.language.file]

    @property
    def flags(self) -> list[str]:
        """The flags of the compile command: all but the compiler, the sources and the program it makes."""
        own = {"-o", f"./{PROGRAM}", self.language.file, *self.further}
        return [part for part in self.compile[1:] if part not in own]


def build_of(program: Program, limits: Limits, files: Mapping[str, bytes]) -> Build:
    """Return how `program` is built and run with `files`.

    Raises:
        ValueError: the language is not known, or a file name is not allowed.
    """
    languages = known_languages()
    language = languages.get(program.language)
    if language is None:
        raise ValueError(f"language {program.language!r} is not known; known are {', '.join(sorted(languages))}")
    laid = lay_out(language, program)
    for name in (*files, *laid.files):
        if check_name(name) == PROGRAM or (name in files and name in laid.own):
            raise ValueError(f"file name {name!r} is taken by the program itself; name the file otherwise")
    places = {
        "{program}": f"./{PROGRAM}",
        "{output}": f"./{PROGRAM}",
        "{python}": "python3",
        "{scratch}": "/tmp",
        "{memory}": str(max(1, limits.memory_bytes // _MEBIBYTE)),
    }
    compiles, pragmatic, run = (
        tuple(_filled(part, places) for part in command) for command in (laid.compile, laid.pragmatic, laid.run)
    )
    return Build(
        language,
        sources={name: content for name, content in laid.files.items() if name in laid.own},
        extras={name: content for name, content in laid.files.items() if name not in laid.own},
        given=files,
        compile=(*compiles, *laid.further) if compiles else (),
        pragmatic=(*pragmatic, *laid.further) if pragmatic else (),
        run=(*run, *program.args),
        args=program.args,
        further=laid.further,
    )


def _filled(part: str, places: Mapping[str, str]) -> str:
    for place, value in places.items():
        part = part.replace(place, value)
    return part
