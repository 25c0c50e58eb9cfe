"""How a run is put to a Judge0 server: which fields a submission has, and which limits.

Decides the form of the submission, and what cannot be put into one. Pure. It must not know how it is sent or what the
answers mean.
"""

import base64
import io
import math
import shlex
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, replace

from balancer.program import Limits
from balancer.sandbox.http.builds import Build
from balancer.sandbox.judge0.languages import ServedLanguage
from balancer.sandbox.judge0.wire import Judge0Submission, ServerLimits

__all__ = ["Judge0Request", "submission_for"]

_KILO = 1024
_LEAST_WALL_S = 1.0
_LEAST_MEMORY = 2048
_MOST_CHARS = 512  # of arguments, and of options
_TAKEN_OUT = frozenset("$&;<>|`")  # Judge0 takes them out of both, as it puts them into a script
_ITS_OWN = frozenset({"compile.sh", "run.sh", "additional_files.zip"})
_SHELL = 2  # processes: the script's own


@dataclass(frozen=True, slots=True)
class Judge0Request:
    """A submission, and the limits that it gives."""

    body: Judge0Submission
    given: Limits


def submission_for(
    build: Build, stdin: bytes, limits: Limits, served: ServedLanguage, most: ServerLimits
) -> Judge0Request:
    """Return the submission that runs the program of `build` once.

    Args:
        build: the program.
        stdin: its input.
        limits: what it may use.
        served: the server's version of its language.
        most: the server's own limits.

    Raises:
        ValueError: the program cannot be sent.
    """
    if build.sources.get("entry", b"Main") != b"Main":
        raise ValueError("Judge0 starts the class Main only")
    given = replace(
        limits,
        cpu_s=min(limits.cpu_s, most.max_cpu_time_limit),
        wall_s=max(_LEAST_WALL_S, min(limits.wall_s, most.max_wall_time_limit)),
        memory_bytes=min(limits.memory_bytes, most.max_memory_limit * _KILO),
        output_bytes=min(limits.output_bytes, most.max_max_file_size * _KILO),
    )
    processes = limits.processes + build.language.runtime_processes + _SHELL
    body = Judge0Submission(
        source_code=_encoded(build.main),
        language_id=served.id,
        compiler_options=_joined(served.flags(build)),
        command_line_arguments=_joined(list(build.args)),
        stdin=_encoded(stdin),
        cpu_time_limit=given.cpu_s,
        wall_time_limit=given.wall_s,
        memory_limit=max(_LEAST_MEMORY, given.memory_bytes // _KILO),
        stack_limit=min(most.max_stack_limit, max(_LEAST_MEMORY, given.memory_bytes // _KILO)),
        max_processes_and_or_threads=min(processes, most.max_max_processes_and_or_threads),
        # One byte more than is allowed, so that it shows.
        max_file_size=min(most.max_max_file_size, math.ceil((limits.output_bytes + 1) / _KILO)),
        additional_files=_archive({**build.extras, **build.given}, most),
    )
    if body.command_line_arguments and not most.enable_command_line_arguments:
        raise ValueError("this Judge0 server allows no command line arguments")
    return Judge0Request(body, given)


def _encoded(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _joined(words: list[str]) -> str | None:
    """Return `words` as part of the script that Judge0 makes of them; None for none."""
    if not words:
        return None
    text = shlex.join(words)
    if _TAKEN_OUT & set(text) or len(text) > _MOST_CHARS or text != text.strip():
        raise ValueError(
            f"Judge0 cannot be given the arguments {text[:80]!r}; it takes {_MOST_CHARS} characters, and none of "
            f"{' '.join(sorted(_TAKEN_OUT))}"
        )
    return text


def _archive(files: Mapping[str, bytes], most: ServerLimits) -> str | None:
    """Return the files that lie beside the program, as Judge0 takes them; None for none."""
    if not files:
        return None
    if not most.enable_additional_files:
        raise ValueError("this Judge0 server allows no additional files")
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            if name in _ITS_OWN:
                raise ValueError(f"file name {name!r} is Judge0's own; name the file otherwise")
            if len(content) > most.max_extract_size * _KILO:
                raise ValueError(f"file {name!r} has {len(content)} bytes; this Judge0 server unpacks no such file")
            archive.writestr(zipfile.ZipInfo(name), content)
    return _encoded(packed.getvalue())
