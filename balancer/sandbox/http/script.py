"""Run of a program by a shell script on a server: the script compiles, runs and measures it, and reports in words.

Also decides which of these words are believed. Pure.

Why a script: SandboxFusion compiles C++ without -O2, measures only the wall clock, and reads at most about 128 KiB of
output, as text. A script uses our flags, has the output fetched as a file of any bytes, and measures CPU time in the
shell.

The script reports on its own standard output, which the program does not get. A program of the same user can still find
it, and may lie about its CPU time and exit code. It cannot change what was written before it began, such as the compile
time. See docs/decisions/sandbox.md. So a report is believed if it is to the program's cost: CPU time beyond the limit
is a time limit. A program whose wall time is beyond the limit never passes on its own word. That is a late time limit,
which does not count until another run says more (`balancer.judging.suspicion`). The wall time is what the server
measured, less the compile time.
"""

import math
import shlex
from collections.abc import Iterable
from dataclasses import dataclass

from balancer.program import Execution, Language, Limits, Status
from balancer.sandbox.http.answers import AnswerContext
from balancer.sandbox.languages.layout import ProgramLayout, filled
from balancer.sandbox.languages.memory import died_of_memory_limit

__all__ = [
    "INPUT",
    "OUTPUT",
    "RESERVED",
    "WORDS",
    "ScriptEnd",
    "script_for",
    "script_result_of",
]

INPUT, OUTPUT, WORDS = ".stdin", ".stdout", ".words"
_PROGRAM = ".program"
RESERVED = frozenset({INPUT, OUTPUT, WORDS, _PROGRAM, ".stderr", ".took", ".used"})

_SCRATCH = "@@SCRATCH@@"  # neither quoted by shlex nor in any command
_CACHE = "/tmp/.balancer"
_MOST_BINARY_BYTES = 256 * 2**20
_WORDS_BYTES = 2**15  # of the beginning of the standard error, and of its end

_HEAD = """\
exec 5>&1 2>/dev/null
TIMEFORMAT='%R %U %S'
say() { echo "balancer $*" >&5; }
"""

# A stored binary is used only if its hash is the one that was sent with the script.
_FIND = """\
found() {{
  [ -f {stored} ] && [ ! -L {stored} ] && head -c {most} {stored} >{program} || return
  [ "$(sha256sum <{program})" = "{sha}  -" ] && chmod +x {program} && say compiled 0 0 0 0 {sha}
}}
found || build
"""
_STORE = """\
store() {{
  mkdir -p {cache} && find {cache} -maxdepth 1 -type f -mmin +720 -delete
  [ -e {stored} ] || {{ cp {program} {stored}.$$ && mv {stored}.$$ {stored}; }}
}}
"""
_BUILD = """\
try() {{ (ulimit -t {cpu_s}; exec "$@" </dev/null >{words} 2>&1 5>&-); }}
tries() {{ {tries}; }}
build() {{
  {{ time tries; }} 2>.took
  code=$?
  [ $code != 0 ] || [ -f {program} ] || code=1
  if [ $code != 0 ]; then
    head -c {most} {words} >.used
    mv .used {words}
    say compiled $code $(tail -n1 .took)
    exit 0
  fi
  say compiled 0 $(tail -n1 .took) $(sha256sum <{program} | head -c 64)
  store
}}
"""
_RUN = """\
rm -f .took {words}
{{ time timeout -s KILL {wall_s} sh -c {limited} run {command} <{input} >{output} 2>.stderr 5>&-; }} 2>.used
code=$?
for name in {output} .stderr; do [ -f $name ] && [ ! -L $name ] || {{ rm -rf $name; : >$name; }}; done
rm -rf {words}
{{ head -c {some} .stderr; [ $(stat -c %s .stderr) -le {some} ] || {{ echo; tail -c {some} .stderr; }}; }} >{words}
say ran $code $(tail -n1 .used) $(stat -c %s {output} .stderr)
"""


def script_for(
    language: Language, layout: ProgramLayout, args: Iterable[str], limits: Limits, python: str, stored: tuple[str, str]
) -> str:
    """Return the script. Arguments and names are quoted, all else is fixed.

    Args:
        language, layout, args, limits: of the program.
        python: the interpreter for Python programs.
        stored: name under which the server keeps the binary, and the known hash of that binary; "": unknown.
    """
    memory = limits.memory_bytes
    places = {
        "{program}": f"./{_PROGRAM}",
        "{output}": _PROGRAM,
        "{memory}": f"{max(1, memory // 2**20)}",
        "{scratch}": _SCRATCH,
    }
    parts = [_HEAD]
    if layout.compile:
        commands = [
            _joined(command, layout.further, places) for command in (layout.compile, layout.pragmatic) if command
        ]
        # After a signal there is no second try: the compiler ran out of time or memory.
        tries = " || { code=$?; [ $code -lt 128 ] || return $code; ".join(f"try {command}" for command in commands)
        tries += "; }" * (len(commands) - 1)
        key, sha = stored
        place = shlex.quote(f"{_CACHE}/{key}")
        store = _STORE.format(cache=_CACHE, stored=place, program=_PROGRAM)
        build = _BUILD.format(
            cpu_s=math.ceil(limits.compile_s) + 1, words=WORDS, tries=tries, program=_PROGRAM, most=_WORDS_BYTES
        )
        find = _FIND.format(stored=place, program=_PROGRAM, sha=sha, most=_MOST_BINARY_BYTES) if sha else "build\n"
        parts += [store, build, find]
    limited = (
        f"ulimit -c 0; ulimit -s unlimited; ulimit -t {math.ceil(limits.cpu_s) + 1}; "
        f"ulimit -v {(memory + language.runtime_bytes) // 1024}; "
        f'ulimit -f {limits.output_bytes // 512 + 2}; exec "$@"'  # in units of 512 bytes, in `sh`
    )
    parts.append(
        _RUN.format(
            words=WORDS,
            wall_s=f"{limits.wall_s:g}",
            limited=shlex.quote(limited),
            command=_joined(tuple(python if part == "python3" else part for part in layout.run), args, places),
            input=INPUT,
            output=OUTPUT,
            some=_WORDS_BYTES,
        )
    )
    return "".join(parts)


def _joined(template: tuple[str, ...], args: Iterable[str], places: dict[str, str]) -> str:
    """Return a shell command: `template` with its places filled in, and `args` unchanged."""
    parts = (shlex.quote(part).replace(_SCRATCH, '"$PWD"') for part in filled(template, places))
    return " ".join([*parts, *map(shlex.quote, args)])


# -- what a script reports -------------------------------------------------------------------------

_HONEST, _START_S = 1.1, 0.1  # an honest run takes at most this many times the limit, and this many seconds to start
_KILLED = 137
_SIGNALS = range(129, 193)  # 128 + n is how shells report signal n (1 to 64)


@dataclass(frozen=True, slots=True)
class ScriptEnd:
    """End of a script, as the server reports it.

    Attributes:
        said: its standard output.
        exit_code: its own; None if it was stopped.
        late: whether the server stopped it for its time.
        total_s: its duration in seconds; None if the server does not say.
        output, words: the files `OUTPUT` and `WORDS`.
    """

    said: str
    exit_code: int | None
    late: bool
    total_s: float | None
    output: bytes
    words: bytes

    @property
    def reports(self) -> list[list[str]]:
        """The words of each line of the script's output. A script that ran to its end has written some."""
        return [line.split()[1:] for line in self.said.splitlines() if line.startswith("balancer ")]


def script_result_of(end: ScriptEnd, context: AnswerContext, *, compiles: bool) -> tuple[Execution, str]:
    """Return the end of the run, and the hash of the binary that was made or found; "" if there is none.

    `compiles`: whether the script had to compile the program.

    Raises:
        EndpointError: the server did not run the script.
    """
    limits = context.limits
    reports = end.reports
    words = context.server.redact(end.words.decode("utf-8", "surrogateescape")).encode("utf-8", "surrogateescape")
    compiled, *reports = reports if compiles and reports else [[], *reports]
    if compiles:
        refused = _refused(compiled, words, end, limits)
        if refused is not None:
            return refused, ""
    elif not reports and not end.late and not _went_or_was_killed(end.exit_code):
        raise context.server.failed(f"the script did not run: exit code {end.exit_code}")
    compile_s = _number(compiled, 2)
    wall_s = max(0.0, (end.total_s or 0.0) - compile_s)
    # The output of a script that was killed does not count.
    whole = end.exit_code == 0 and len(reports) == 1 and reports[0][:1] == ["ran"] and len(reports[0]) == 7
    ran = reports[0] if whole else []
    status, exit_code, message = _end(ran, words, context, wall_s=wall_s, late=end.late)
    used_s = _number(ran, 3) + _number(ran, 4)
    measured = bool(ran) and not (status is Status.TIME_LIMIT and used_s < limits.cpu_s and _number(ran, 1) != _KILLED)
    execution = Execution(
        status=status,
        stdout=end.output[: limits.output_bytes],
        stderr=words[: limits.output_bytes],
        exit_code=exit_code,
        time_s=used_s if measured else wall_s,
        cpu_measured=measured,
        message=message,
        compile_s=compile_s,
        doubtful=not ran and not end.late,  # something killed the script: the program, or a machine out of memory
        server_s=end.total_s,
    )
    return execution, compiled[5] if len(compiled) == 6 else ""


def _refused(compiled: list[str], words: bytes, end: ScriptEnd, limits: Limits) -> Execution | None:
    """Return the end of a program that was not compiled; None if it was."""
    if compiled[:2] == ["compiled", "0"]:
        return None
    total_s = end.total_s or 0.0
    used_s = _number(compiled, 3) + _number(compiled, 4)
    took_s = _number(compiled, 2) or total_s
    message, doubtful = "", False
    if used_s >= limits.compile_s:
        message = f"the compiler took too long: {used_s:.1f} s of CPU time, and {limits.compile_s:g} s are allowed"
    elif end.late:
        message, doubtful = f"the compiler was stopped after {total_s:.1f} s", True
    elif not compiled or _number(compiled, 1) == _KILLED:
        message, doubtful = "the compiler was killed, probably for its memory", True
    return Execution(Status.COMPILE_ERROR, stderr=words, message=message, compile_s=took_s, doubtful=doubtful)


def _end(
    ran: list[str], words: bytes, context: AnswerContext, *, wall_s: float, late: bool
) -> tuple[Status, int | None, str]:
    """Return status, exit code and message of a program that was started."""
    if not ran:
        return (Status.TIME_LIMIT, None, f"wall time: {wall_s:.1f} s") if late else (Status.FINISHED, -9, "killed")
    limits = context.limits
    code, used_s = int(_number(ran, 1)), _number(ran, 3) + _number(ran, 4)
    if max(_number(ran, 5), _number(ran, 6)) > limits.output_bytes:
        return Status.OUTPUT_LIMIT, None, f"output: more than {limits.output_bytes} bytes"
    if used_s >= limits.cpu_s:
        return Status.TIME_LIMIT, None, f"CPU time: {used_s:.3f} s of {limits.cpu_s:g} s"
    if code == _KILLED and wall_s >= limits.wall_s:
        return Status.TIME_LIMIT, None, f"wall time: {limits.wall_s:g} s"
    if wall_s > _HONEST * limits.cpu_s + _START_S:
        return Status.TIME_LIMIT, None, f"wall time: {wall_s:.2f} s, with only {used_s:.2f} s of CPU time reported"
    exit_code = 128 - code if code in _SIGNALS else code
    if exit_code and died_of_memory_limit(context.language, exit_code, words):
        return Status.MEMORY_LIMIT, exit_code, f"memory: {limits.memory_bytes} bytes were not enough"
    return Status.FINISHED, exit_code, ""


def _went_or_was_killed(code: int | None) -> bool:
    """Return whether the program may have silenced a script that reported nothing, by any signal."""
    return not code or code < 0 or code in _SIGNALS


def _number(report: list[str], index: int) -> float:
    """Return a number of a report, at least 0; 0 if there is none."""
    try:
        number = float(report[index].replace(",", "."))  # some locales have a comma
    except (IndexError, ValueError):
        return 0.0
    return number if 0 <= number < 1e12 else 0.0
