"""The shell script that compiles, runs and measures a program on a SandboxFusion server, and reports in words.

Decides what the script does. Pure. What its words mean is decided in `told`; how it is sent, in `request`.

Why a script, where the server could run the program by itself: the server compiles C++ without -O2, measures the wall
clock only, and reads no more than about 128 KiB of output, as text. A script has our flags, has the program's output
fetched as a file of any bytes, and has CPU time from the shell.

The script's words go to its own standard output, which the program is not given. A program of the same user can find it
all the same, and may lie there about its CPU time and its exit code; but never take back what was said before it began,
which is how long compiling took. See docs/decisions/sandbox.md.
"""

import math
import shlex
from collections.abc import Iterable
from dataclasses import dataclass

from balancer.language import Language
from balancer.program import Limits
from balancer.sandbox.languages.layout import ProgramLayout

__all__ = ["INPUT", "OUTPUT", "RESERVED", "WORDS", "ScriptOptions", "script_for"]

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

# A stored binary is used only if it is, byte for byte, the one whose hash the script was sent with.
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


@dataclass(frozen=True, slots=True)
class ScriptOptions:
    """What a script is made of, beyond the program.

    Args:
        python: the interpreter for Python.
        stored: under which name the binary is kept on the server; "": it is not kept.
        sha256: what is known of that binary; "": nothing.
    """

    python: str = "python3"
    stored: str = ""
    sha256: str = ""


def script_for(
    language: Language, laid: ProgramLayout, args: Iterable[str], limits: Limits, recipe: ScriptOptions
) -> str:
    """Return the script; arguments and names are quoted, all else is fixed."""
    memory = limits.memory_bytes
    places = {
        "{program}": f"./{_PROGRAM}",
        "{output}": _PROGRAM,
        "{python}": recipe.python,
        "{memory}": f"{max(1, memory // 2**20)}",
        "{scratch}": _SCRATCH,
    }
    parts = [_HEAD]
    if laid.compile:
        commands = [_joined(command, laid.further, places) for command in (laid.compile, laid.pragmatic) if command]
        # After a signal there is no second try: it was out of time, or of memory.
        tries = " || { code=$?; [ $code -lt 128 ] || return $code; ".join(f"try {command}" for command in commands)
        tries += "; }" * (len(commands) - 1)
        stored = shlex.quote(f"{_CACHE}/{recipe.stored}")
        build = _BUILD.format(
            cpu_s=math.ceil(limits.compile_s) + 1, words=WORDS, tries=tries, program=_PROGRAM, most=_WORDS_BYTES
        )
        store = _STORE.format(cache=_CACHE, stored=stored, program=_PROGRAM) if recipe.stored else "store() { :; }\n"
        find = (
            _FIND.format(stored=stored, program=_PROGRAM, sha=recipe.sha256, most=_MOST_BINARY_BYTES)
            if recipe.stored and recipe.sha256
            else "build\n"
        )
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
            command=_joined(laid.run, args, places),
            input=INPUT,
            output=OUTPUT,
            some=_WORDS_BYTES,
        )
    )
    return "".join(parts)


def _joined(template: tuple[str, ...], args: Iterable[str], places: dict[str, str]) -> str:
    """Return a command for a shell: `template` with its places filled in, and `args` as they are."""
    return " ".join([*(_filled(part, places) for part in template), *map(shlex.quote, args)])


def _filled(part: str, places: dict[str, str]) -> str:
    for place, text in places.items():
        part = part.replace(place, text)
    return shlex.quote(part).replace(_SCRATCH, '"$PWD"')
