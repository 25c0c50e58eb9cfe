"""Where the local servers of tests run programs: in the local sandbox, as shell scripts with files.

What a script leaves behind is gone with its box, but for one file that the caller asks for.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Self

from balancer.program import Execution, Limits, Program
from balancer.sandbox.local.executor import LocalExecutor

_FILE_BYTES = 64 * 2**20
_FOLDER = "files/"  # so that none of them has the name of the script itself
_RUN = 'mkdir -p files; cd files; chmod -Rf u+x . ; exec "$@"'
# The file goes out as what is printed, and what was printed as words.
_KEEP = """\
kept=$1; shift; mkdir -p files; cd files; chmod -Rf u+x .
"$@" >&2 </dev/null; code=$?; cat "$kept" 2>/dev/null; exit $code
"""


@dataclass(frozen=True)
class Kept:
    """What a command did, and the file it made (None: it made none)."""

    execution: Execution
    file: bytes | None


class Box:
    """Runs commands isolated."""

    def __init__(self) -> None:
        self._executor = LocalExecutor("local://box")

    def run(self, command: list[str], files: Mapping[str, bytes], stdin: bytes, limits: Limits) -> Execution:
        """Run `command` where `files` lie, as executables."""
        return self._executor.run(Program("bash", _RUN, args=tuple(command)), stdin, limits, _placed(files))

    def make(self, command: list[str], files: Mapping[str, bytes], kept: str, limits: Limits) -> Kept:
        """Run `command`, and return the file `kept` that it made."""
        roomy = replace(limits, output_bytes=_FILE_BYTES)
        done = self._executor.run(Program("bash", _KEEP, args=(kept, *command)), b"", roomy, _placed(files))
        return Kept(replace(done, stdout=b""), done.stdout or None)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._executor.close()


def _placed(files: Mapping[str, bytes]) -> dict[str, bytes]:
    return {_FOLDER + name: content for name, content in files.items()}
