"""How a run is put to a Piston server: which files, in which encoding, and with which limits.

Decides the form of the request. Pure. It must not know how requests are sent or what the answers mean.

The server's packages compile with their own flags, which do not optimise. For C and C++ they name all sources by a
pattern, and what the compiler finds in place of "@NAME" is what the file NAME holds: so ours are in such a file.
"""

import base64
import math
from collections.abc import Mapping

from balancer.program import Limits
from balancer.sandbox.http.builds import Build
from balancer.sandbox.piston.stdin import INPUT, fed_by_file, is_sendable, part_of
from balancer.sandbox.piston.wire import ExecuteRequest, File, Runtime

__all__ = ["NAMES", "request_for"]

# Ours -> Piston's. Java and Go are compiled while they run, on the program's time; Rust and Haskell unoptimised.
NAMES: Mapping[str, str] = {
    "bash": "bash",
    "c": "c",
    "cpp": "c++",
    "javascript": "javascript",
    "kotlin": "kotlin",
    "python": "python",
}
_ADDED = {"c": ".c", "cpp": ".cpp", "kotlin": ".kt"}  # by the package, to the names of code files
_MS = 1000


def request_for(
    build: Build, stdin: bytes, limits: Limits, runtime: Runtime, most: Mapping[str, float]
) -> ExecuteRequest:
    """Return the request that runs the program of `build` once.

    Args:
        build: the program.
        stdin: its input.
        limits: what it may use.
        runtime: the server's version of its language.
        most: the server's own limits, as far as they are known, by the name of the request's field.

    Raises:
        ValueError: the program or its input cannot be sent.
    """
    name = build.language.name
    main = build.language.file.removesuffix(_ADDED.get(name, ""))
    source = build.main
    fed = not is_sendable(stdin)
    starter = fed_by_file(build) if fed else {}
    if starter is None:
        raise ValueError(
            f"Piston cannot give a program in {name!r} an input that is long, no text, or without a last line break"
        )
    code = [File(name=each, content=content) for each, content in starter.items()]
    try:
        code.append(File(name=main, content=source.decode("utf-8")))
    except UnicodeDecodeError:
        if not code:  # some file must be text, and it is what is started
            raise ValueError("Piston takes no source that is not UTF-8") from None
        code.append(_encoded(main, source))
    data = {**build.extras, **build.given, **({INPUT: stdin} if fed else {})}
    if name in ("c", "cpp"):
        ending = _ADDED[name]
        found = {f"./{each}" for each in build.extras if "/" not in each and each.endswith(ending)}
        flags = f".balancer{ending}"  # the pattern of the package does not find it
        data |= {
            f"@{flags}": b"",
            flags: _flags([*build.flags, "-w"], [each for each in build.further if each not in found]),
            f"balancer_part{ending}": part_of(fed=fed),
        }
    return ExecuteRequest(
        language=runtime.language,
        version=runtime.version,
        files=code + [_encoded(each, content) for each, content in data.items()],
        stdin="\n" if fed else stdin.decode("utf-8"),
        args=list(build.args),
        **{field: int(min(value, most.get(field, value))) for field, value in _limits(limits).items()},
    )


def _limits(limits: Limits) -> dict[str, int]:
    return {
        "compile_timeout": _milliseconds(limits.compile_wall_s),
        "compile_cpu_time": _milliseconds(limits.compile_s),
        "run_timeout": _milliseconds(limits.wall_s),
        "run_cpu_time": _milliseconds(limits.cpu_s),
        "run_memory_limit": limits.memory_bytes,
    }


def _milliseconds(seconds: float) -> int:
    return max(1, math.ceil(seconds * _MS))


def _flags(flags: list[str], sources: list[str]) -> bytes:
    """Return the file of flags. No warnings: what a compiler says is then an error, however little of it is kept."""
    quoted = ['"' + each.replace("\\", "\\\\").replace('"', '\\"') + '"' for each in sources]
    return "\n".join([*flags, *quoted, ""]).encode()


def _encoded(name: str, content: bytes) -> File:
    return File(name=name, content=base64.b64encode(content).decode("ascii"), encoding="base64")
