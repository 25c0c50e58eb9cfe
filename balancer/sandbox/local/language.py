"""What a language is, for programs that run on this machine. Decides nothing."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

__all__ = ["Language"]


@dataclass(frozen=True, slots=True)
class Language:
    """How programs of one language are built and run.

    Args:
        name: as in `Program.language`.
        file: the name its source gets in the working directory.
        run: command template; the program's arguments follow it.
        compile: command template that makes `{output}` from `file`; empty if there is nothing to compile.
        runtime_bytes: address space that the runtime maps beyond the program's memory, and mostly never touches.
        runtime_processes: threads of the runtime's own.
        files: from a source to the files that the compiler, or the interpreter, is given; None: the source as `file`.
    """

    name: str
    file: str
    run: tuple[str, ...]
    compile: tuple[str, ...] = ()
    runtime_bytes: int = 0
    runtime_processes: int = 0
    files: Callable[[bytes], Mapping[str, bytes]] | None = None

    def sources(self, source: bytes) -> Mapping[str, bytes]:
        """Return the files that `source` is compiled, or run, from."""
        return {self.file: source} if self.files is None else self.files(source)
