"""How a run is put to a SandboxFusion server: natively where it can be, else as a shell script.

Decides the form of the request. Pure. It must not know how requests are sent or what the answers mean.

The server's own "python" and "cpp" take text on stdin and no arguments. A program with arguments (a checker),
an input that is not UTF-8 or a source that is not, goes as a "bash" script with everything in `files`.
"""

import base64
import math
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from balancer.program import Limits, Program
from balancer.sandbox.fusion.wire import RunCodeRequest
from balancer.sandbox.local.jail import check_name
from balancer.sandbox.local.languages import CXX_FLAGS, LANGUAGES

__all__ = ["COMPILE_MARK", "Asked", "request_for"]

# The script's last word on stderr when the compiler gave up, to tell that from the program's own end.
COMPILE_MARK = b"balancer: compile error"

_INPUT = ".stdin"
_PROGRAM = ".program"
_MEBIBYTE = 2**20
# SandboxFusion applies the memory limit to its compiler as well, and bits/stdc++.h takes 250 MB of address space:
# with less than this a right program would get a compile error.
_COMPILE_MEBIBYTES = 512


@dataclass(frozen=True, slots=True)
class Asked:
    """A request, and what is needed to read the answer.

    Args:
        body: the request.
        scripted: whether the program runs from a script (then the script compiles it).
        total_s: how long the server may take for it at most.
    """

    body: RunCodeRequest
    scripted: bool
    total_s: float


def request_for(program: Program, stdin: bytes, limits: Limits, files: Mapping[str, bytes]) -> Asked:
    """Return the request that runs `program` once.

    Raises:
        ValueError: the language is not known, or a file name is not allowed.
    """
    known = LANGUAGES.get(program.language)
    reserved = {_INPUT, _PROGRAM, known.file if known else _PROGRAM}
    for name in files:
        if check_name(name) in reserved:
            raise ValueError(f"file name {name!r} is taken by the program itself; name the file otherwise")
    text = _text(stdin)
    if program.args or text is None or not _sendable(program.source):
        if known is None:
            able = ", ".join(sorted(LANGUAGES))
            raise ValueError(
                f"a program in {program.language!r} cannot be sent with arguments, or with bytes that are no text; "
                f"those in {able} can"
            )
        return _scripted(program, stdin, limits, files)
    return _native(program, text, limits, files)


def _native(program: Program, stdin: str, limits: Limits, files: Mapping[str, bytes]) -> Asked:
    known = LANGUAGES.get(program.language)
    compiled = known is None or bool(known.compile)  # one that is not known here may well be compiled there
    body = RunCodeRequest(
        code=program.source,
        language=program.language,
        stdin=stdin,
        compile_timeout=limits.compile_s,
        run_timeout=_run_timeout_s(limits),
        memory_limit_MB=_mebibytes(limits, compiled=compiled),
        files=_encoded(files),
        wall_timeout=limits.wall_s,
        output_limit=limits.output_bytes,
    )
    return Asked(body, scripted=False, total_s=limits.wall_s + limits.compile_s * compiled)


def _scripted(program: Program, stdin: bytes, limits: Limits, files: Mapping[str, bytes]) -> Asked:
    language = LANGUAGES[program.language]
    source = program.source.encode("utf-8", "surrogateescape")
    extra_s = limits.compile_s if language.compile else 0.0  # the script's time is the program's and the compiler's
    body = RunCodeRequest(
        code=_script(program),
        language="bash",
        stdin=None,
        compile_timeout=limits.compile_s,
        run_timeout=_run_timeout_s(limits) + extra_s,
        memory_limit_MB=_mebibytes(limits, compiled=bool(language.compile)),
        files=_encoded({**files, _source_file(program): source, _INPUT: stdin}),
        wall_timeout=limits.wall_s + extra_s,
        output_limit=limits.output_bytes,
    )
    return Asked(body, scripted=True, total_s=limits.wall_s + extra_s)


_RUN: Mapping[str, Callable[[str], list[str]]] = {
    "python": lambda file: ["python3", file],
    "cpp": lambda file: [f"./{_PROGRAM}"],
    "bash": lambda file: ["bash", file],
    "java": lambda file: ["java", file],  # compiles it in memory, and starts its first class
}


def _script(program: Program) -> str:
    """Return the script; arguments are quoted, all else is fixed."""
    file = _source_file(program)
    run = _RUN[program.language](file)
    lines = [f"exec {shlex.join([*run, *program.args])} <{_INPUT}"]
    if program.language == "cpp":
        build = shlex.join(["g++", *CXX_FLAGS, file, "-o", _PROGRAM])
        lines.insert(0, f"{build} </dev/null 1>&2 || {{ echo {shlex.quote(COMPILE_MARK.decode())} >&2; exit 1; }}")
    return "\n".join(lines) + "\n"


def _source_file(program: Program) -> str:
    """Return where a script finds the program's source. The script itself is "main.sh" on our own servers."""
    return _PROGRAM if program.language == "bash" else LANGUAGES[program.language].file


def _run_timeout_s(limits: Limits) -> float:
    """Return what `run_timeout` must be.

    SandboxFusion measures wall time only. With the wall limit, which is for sleepers, a program three times too
    slow would pass; with the CPU limit an overloaded server may stop one that is fast enough, but that shows, and
    the pipeline looks a second time.
    """
    return min(limits.cpu_s, limits.wall_s)


def _mebibytes(limits: Limits, *, compiled: bool) -> int:
    wanted = math.ceil(limits.memory_bytes / _MEBIBYTE)
    return max(wanted, _COMPILE_MEBIBYTES) if compiled else wanted


def _encoded(files: Mapping[str, bytes]) -> dict[str, str | None]:
    return {name: base64.b64encode(content).decode("ascii") for name, content in files.items()}


def _text(data: bytes) -> str | None:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return None


def _sendable(source: str) -> bool:
    """Tell whether `source` is Unicode text (lone surrogates stand for bytes that are not)."""
    try:
        source.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
