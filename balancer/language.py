"""A programming language: how its programs are recognised, built and started. One entry of a table.

Decides nothing, and knows no machine: commands are templates whose places somebody else fills in, and user data never
goes into one. The built-in table is `balancer.sandbox.languages.table`; a plugin adds entries (`balancer_languages`).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

__all__ = ["Language"]


@dataclass(frozen=True, slots=True)
class Language:
    """How programs of one language are built and run.

    Places in templates: `{output}` is the file that a compiler makes, `{program}` the same file when it runs,
    `{memory}` what the program may use, in MiB, `{python}` the interpreter of this machine, and `{scratch}` a folder
    for scraps.

    Args:
        name: as in `Program.language`.
        file: the name its source gets in the working directory.
        run: command template; the program's arguments follow it.
        compile: command template that makes `{output}` from `file`; empty if there is nothing to compile.
        pragmatic: command template that is tried where `compile` refuses a program, e.g. one that forgets a header.
        joined: whether further sources of the program follow the compile command as arguments; else the compiler, or
            the interpreter, finds them beside the first one.
        extensions: endings of its source files, with the dot, in lower case; those of the first entry count.
        tools: commands it needs, which must lie under /usr.
        trees: folders outside /usr that the tools read, where they are.
        install: what brings these, e.g. the name of a package.
        hello: a program that prints "pong", to find out whether a server runs the language.
        native: what a SandboxFusion server calls it, if it knows it by itself.
        runtime_bytes: address space that the runtime maps beyond the program's memory, and mostly never touches.
        compiler_bytes: the same of the compiler, beyond 2 GiB.
        runtime_processes: threads of the runtime's own.
        files: from a source to the files that the compiler, or the interpreter, is given; None: the source as `file`.
    """

    name: str
    file: str
    run: tuple[str, ...]
    compile: tuple[str, ...] = ()
    pragmatic: tuple[str, ...] = ()
    joined: bool = False
    extensions: tuple[str, ...] = ()
    tools: tuple[str, ...] = ()
    trees: tuple[str, ...] = ()
    install: str = ""
    hello: str = ""
    native: str = ""
    runtime_bytes: int = 0
    compiler_bytes: int = 0
    runtime_processes: int = 0
    files: Callable[[bytes], Mapping[str, bytes]] | None = None

    def sources(self, source: bytes) -> Mapping[str, bytes]:
        """Return the files that `source` is compiled, or run, from."""
        return {self.file: source} if self.files is None else self.files(source)

    def further(self, names: tuple[str, ...]) -> tuple[str, ...]:
        """Return the arguments of the compile command that name the further sources among the files `names`."""
        if not self.joined:
            return ()
        # "./" so that no name is ever taken for an option.
        return tuple(f"./{name}" for name in names if name.lower().endswith(self.extensions))
