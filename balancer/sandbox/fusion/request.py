"""How a run is put to a SandboxFusion server: as a script, natively, or as our own servers understand it.

Decides the form of the request. Pure. It must not know how requests are sent or what the answers mean.

Our own servers take a program with all that belongs to it. To others a program goes as a "bash" script with everything
in `files` (see `script`). A language that is not in our table, or whose tools are not on the server's path, can only be
given to the server itself: as text, with text on stdin and without arguments.
"""

import base64
import math
from collections.abc import Mapping
from dataclasses import dataclass

from balancer.language import Language
from balancer.program import Limits, Program
from balancer.sandbox.fusion.script import INPUT, OUTPUT, RESERVED, WORDS, ScriptOptions, script_for
from balancer.sandbox.fusion.wire import RunCodeRequest
from balancer.sandbox.languages.layout import ProgramLayout, check_name

__all__ = ["FusionRequest", "native", "ours", "scripted"]

_MEBIBYTE = 2**20
# SandboxFusion applies the memory limit to its compiler as well, and bits/stdc++.h takes 250 MB of address space:
# with less than this a right program would get a compile error.
_COMPILE_MEBIBYTES = 512
_SCRIPT_MEBIBYTES = 2048
_START_S = 2.0  # what the script itself may take, on a busy server


@dataclass(frozen=True, slots=True)
class FusionRequest:
    """A request, and what is needed to read the answer.

    Args:
        body: the request.
        total_s: how long the server may take for it at most.
        compiles: whether the server compiles the program.
    """

    body: RunCodeRequest
    total_s: float
    compiles: bool


def ours(
    program: Program, stdin: bytes, limits: Limits, files: Mapping[str, bytes], *, compiles: bool
) -> FusionRequest:
    """Return the request that runs `program` once on one of our own servers.

    Raises:
        ValueError: a file name is not allowed.
    """
    for name in (*files, *(name for name, _ in program.extras)):
        check_name(name)
    text = _text(stdin)
    body = RunCodeRequest(
        code=program.source if _sendable(program.source) else "",
        language=program.language,
        stdin=text,
        stdin_base64=None if text is not None else _encoded(stdin),
        args=list(program.args),
        extras={name: _encoded(content) for name, content in program.extras},
        compile_timeout=limits.compile_s,
        run_timeout=min(limits.cpu_s, limits.wall_s),
        memory_limit_MB=math.ceil(limits.memory_bytes / _MEBIBYTE),
        files={name: _encoded(content) for name, content in files.items()},
        wall_timeout=limits.wall_s,
        output_limit=limits.output_bytes,
        source_base64=None if _sendable(program.source) else _encoded(_bytes(program.source)),
    )
    return FusionRequest(body, limits.wall_s + limits.compile_wall_s * compiles, compiles)


def native(
    program: Program, name: str, stdin: bytes, limits: Limits, files: Mapping[str, bytes], *, compiles: bool
) -> FusionRequest:
    """Return the request that has the server run `program` as one in the language `name`.

    Raises:
        ValueError: it has arguments, several files, or bytes that are no text; or a file name is not allowed.
    """
    for each in files:
        check_name(each)
    text = _text(stdin)
    if program.args or program.extras or text is None or not _sendable(program.source):
        raise ValueError(
            f"a program in {program.language!r} can be sent to this server without arguments and further files only, "
            "and with nothing but text"
        )
    mebibytes = math.ceil(limits.memory_bytes / _MEBIBYTE)
    body = RunCodeRequest(
        code=program.source,
        language=name,
        stdin=text,
        compile_timeout=limits.compile_wall_s,  # of wall time, there
        # Wall time, too. With the wall limit, which is for sleepers, a program three times too slow would pass; with
        # the CPU limit a busy server may stop one that is fast enough, but that shows, and the pipeline looks again.
        run_timeout=min(limits.cpu_s, limits.wall_s),
        memory_limit_MB=max(mebibytes, _COMPILE_MEBIBYTES) if compiles else mebibytes,
        files={each: _encoded(content) for each, content in files.items()},
    )
    return FusionRequest(body, limits.wall_s + limits.compile_wall_s * compiles, compiles)


def scripted(
    language: Language,
    laid: ProgramLayout,
    program: Program,
    stdin: bytes,
    limits: Limits,
    files: Mapping[str, bytes],
    recipe: ScriptOptions,
) -> FusionRequest:
    """Return the request that runs `program`, which is `laid` out, by a script.

    Raises:
        ValueError: a file name is not allowed.
    """
    for name in (*files, *laid.files):
        if check_name(name) in RESERVED or (name in files and name in laid.own):
            raise ValueError(f"file name {name!r} is taken by the program itself; name the file otherwise")
    compiles = bool(laid.compile)
    total_s = limits.wall_s + _START_S + limits.compile_wall_s * compiles
    compiler = _SCRIPT_MEBIBYTES + language.compiler_bytes // _MEBIBYTE
    runtime = math.ceil((limits.memory_bytes + language.runtime_bytes) / _MEBIBYTE)
    body = RunCodeRequest(
        code=script_for(language, laid, program.args, limits, recipe),
        language="bash",
        compile_timeout=limits.compile_wall_s,
        run_timeout=total_s,
        memory_limit_MB=max(runtime, compiler) if compiles else runtime,
        files={name: _encoded(content) for name, content in {**laid.files, **files, INPUT: stdin}.items()},
        fetch_files=[OUTPUT, WORDS],
    )
    return FusionRequest(body, total_s, compiles)


def _encoded(content: bytes) -> str:
    return base64.b64encode(content).decode("ascii")


def _text(data: bytes) -> str | None:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return None


def _bytes(source: str) -> bytes:
    return source.encode("utf-8", "surrogateescape")


def _sendable(source: str) -> bool:
    """Tell whether `source` is Unicode text (lone surrogates stand for bytes that are not)."""
    try:
        source.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
