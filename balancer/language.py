"""A programming language: how its programs are recognised, built and started.

Commands are templates without user data. The built-in table is `balancer.sandbox.languages.table`; a plugin adds
entries (`balancer_languages`).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

__all__ = ["Language"]


@dataclass(frozen=True, slots=True)
class Language:
    """How programs of one language are built and run.

    Placeholders in templates: `{output}` is the file that a compiler makes, `{program}` the same file at run time,
    `{memory}` the memory of the program in MiB, and `{scratch}` a folder for temporary files.

    Args:
        name: as in `Program.language`.
        file: the name of its source file in the working directory.
        run: command template. The program's arguments follow it.
        compile: command template that makes `{output}` from `file`; empty if there is nothing to compile.
        pragmatic: command template for a second try if `compile` refuses a program, e.g. one without a header.
        headers: system headers worth precompiling, as `#include <...>` names them.
        precompile: command template that makes `{output}` from the file header.h, which includes one of `headers`. A
            compiler that gets `-I` with the folder of `{output}` must use it by itself where that changes nothing.
        joined: True if further sources follow the compile command as arguments. Else the compiler or interpreter finds
            them beside the first one.
        extensions: endings of its source files, with the dot, in lower case. If two languages share one, the first
            language wins.
        tools: commands it needs, which must be under /usr.
        trees: folders outside /usr that the tools read, at the same paths.
        install: what installs these, e.g. the name of a package.
        hello: a program that prints "pong", to test whether a server runs the language.
        native: its name on a SandboxFusion server, if the server has it built in.
        runtime_bytes: address space that the runtime maps beyond the program's memory, mostly unused.
        compiler_bytes: the same for the compiler, beyond 2 GiB.
        runtime_processes: threads of the runtime itself.
        files: makes the files for the compiler or interpreter from a source; None: the source as `file`.
    """

    name: str
    file: str
    run: tuple[str, ...]
    compile: tuple[str, ...] = ()
    pragmatic: tuple[str, ...] = ()
    headers: tuple[str, ...] = ()
    precompile: tuple[str, ...] = ()
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
        """Return the compile arguments for the further sources among the files `names`."""
        if not self.joined:
            return ()
        # "./" so that no name is taken for an option
        return tuple(f"./{name}" for name in names if name.lower().endswith(self.extensions))
