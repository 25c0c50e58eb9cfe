"""The shell scripts that start a program inside its isolation. Fixed text: data comes as arguments.

The first process of a pid namespace reaps the orphans and must outlive the program, and somebody has to say
whether the set-up went well. `/bin/sh` does both for less than a millisecond. It must not know what is run.

File descriptor 0 is the way out to `process.supervise`; the program gets its input from a file instead, so the
descriptor is not handed on. Before "ready" the tools complain on the program's stderr, which is then ours to
read; after it the shell's own remarks ("Segmentation fault") go to /dev/null.
"""

__all__ = ["BARE", "INIT", "bare_arguments", "init_arguments"]

# "(:)" only forks, as the program's start will: where the kernel counts other processes as well and refuses, the
# shell gives up here, before it says "ready".
# Arguments: folder to copy here (or ""), prlimit arguments, standard input, then the program and its arguments.
INIT = """\
copy=$1 limits=$2 input=$3
shift 3
[ -z "$copy" ] || cp -R "$copy/." . || exit
prlimit --pid $$ $limits || exit
(:)
echo ready >&0
exec 3>&2 2>/dev/null
(exec "$@" <"$input" 2>&3 3>&-)
echo "done $?" >&0
"""

# Without a pid namespace the program takes the shell's place, so that its end is the end.
BARE = """\
limits=$1 input=$2
shift 2
prlimit --pid $$ $limits || exit
echo ready >&0
exec "$@" <"$input"
"""


def init_arguments(copy: str, limits: tuple[str, ...], stdin: str, argv: tuple[str, ...]) -> list[str]:
    """Return the command that runs `argv` below `INIT`."""
    return ["/bin/sh", "-c", INIT, "sandbox", copy, " ".join(limits), stdin, *argv]


def bare_arguments(limits: tuple[str, ...], stdin: str, argv: tuple[str, ...]) -> list[str]:
    """Return the command that runs `argv` in place of `BARE`."""
    return ["/bin/sh", "-c", BARE, "sandbox", " ".join(limits), stdin, *argv]
