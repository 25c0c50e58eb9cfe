"""Shell scripts that wait in an isolation and start a program there. The text is fixed: data comes in a file.

The first process of a pid namespace reaps the orphans and must outlive the program. It also reports whether the set-up
went well. `/bin/sh` does both in less than a millisecond.

File descriptor 0 is the line to `process.Sandbox` and back. The program gets its input from a file, so it does not
inherit the descriptor. It could open the descriptor through /proc, or write to the shell's memory. So the shell is a
copy that nobody may read (`guarded_shell`): then the kernel lets no process of the same user look into it. Before
"ready", messages of the tools go to the program's stderr, which we read. After it, the shell's own messages
("Segmentation fault") go to /dev/null.

Steps: the script says "waiting" when its sandbox is set up, perhaps long before there is a program. Then the process
that becomes the program is moved to a control group. The program is written to the file `run` in the stage, a folder
that the script can read, and "go" makes it read that file. It says "ready" when the files are in place and the limits
are set. The shell does both by itself where it can: a tool is one more process for each run.
"""

import os
import shlex
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

__all__ = [
    "BOX",
    "MADE",
    "MADE_FILE",
    "OUTPUT",
    "PROGRAM",
    "SHELL",
    "STAGE",
    "bare_arguments",
    "guarded_shell",
    "init_arguments",
    "run_file",
    "written_by_shell",
]

BOX = "/box"  # the working directory
STAGE = "/stage"  # files of this run, see `prepared`
SHELL = f"{STAGE}/sh"  # the first process
PROGRAM = f"{STAGE}/program"  # a compiled program
OUTPUT = "/output"  # where a compiler may write
MADE_FILE = "main"  # what it makes there
MADE = "/made"  # the file of the machine that this is copied to

_LONGEST = 2**17  # bytes of one argument, see execve(2)
_BY_SHELL = 2**16  # bytes of files that the shell writes itself

# What a compiler made is in memory, of bounded size. It is copied out into one file, when nothing else runs.
# The kernel gives the first process only signals that it handles. The shell handles INT, to end at it.
# Argument: the stage. The limits are the program's alone: the shell must outlive them.
_INIT = f"""\
stage=$1
trap : INT
exec 3>&2 2>/dev/null
(
  exec 2>&3
  echo waiting >&0
  read -r go <&0 || exit
  . "$stage/run" || exit
  echo ready >&0
  exec 2>/dev/null
  exec "$@" <"$stage/stdin" 2>&3 3>&-
)
code=$?
made={OUTPUT}/{MADE_FILE}
if [ "$code" = 0 ] && [ -e {MADE} ]; then
  kill -KILL -1
  [ ! -f $made ] || [ -L $made ] || cat $made >{MADE} || code=125
fi
echo "done $code" >&0
"""

# Without a pid namespace the program replaces the shell, so that both end together.
_BARE = """\
stage=$1
echo waiting >&0
read -r go <&0 || exit
. "$stage/run" || exit
echo ready >&0
exec "$@" <"$stage/stdin"
"""


def written_by_shell(files: Mapping[str, bytes]) -> bool:
    """Return whether the shell can write `files` itself: they are few bytes, in no folders, and no shell has a NUL."""
    return sum(map(len, files.values())) <= _BY_SHELL and not any(
        "/" in name or b"\0" in content for name, content in files.items()
    )


def run_file(*, copy: bool, files: Mapping[str, bytes], limits: Sequence[str], argv: Sequence[str]) -> bytes:
    """Return the content of the file that lays out a run and names the program.

    Args:
        copy: whether the files of the stage are copied to the working directory.
        files: further files, which the shell writes: see `written_by_shell`.
        limits: commands of the shell that set the limits.
        argv: the program and its arguments.

    Raises:
        ValueError: an argument has a null byte, or is longer than the kernel allows.
    """
    if any("\0" in argument for argument in argv):
        raise ValueError("an argument of a program has a null byte; leave it out")
    if (longest := max(map(len, map(os.fsencode, argv)))) >= _LONGEST:
        raise ValueError(f"an argument of a program has {longest} bytes; it must have fewer than {_LONGEST}")
    steps = [f"printf %s {_quoted(content)} >{_quoted(os.fsencode('./' + name))}" for name, content in files.items()]
    if copy:
        steps.append('cp -R "$stage/files/." .')
    lines = (*(f"{step} || exit" for step in (*steps, *limits)), f"set -- {shlex.join(argv)}")
    return os.fsencode("\n".join((*lines, "")))


def _quoted(data: bytes) -> str:
    return shlex.quote(os.fsdecode(data))


def guarded_shell(folder: Path) -> Path:
    """Return a copy of /bin/sh in `folder` that can be run but not read, not even by its owner.

    The kernel makes a process of such a file "not dumpable": without a capability no process can trace it, or open its
    memory or its files through /proc.
    """
    shell = folder / "sh"
    if not shell.exists():
        shutil.copyfile(os.path.realpath("/bin/sh"), shell)
        shell.chmod(0o111)
    return shell


def init_arguments() -> list[str]:
    """Return the command that waits as the first process of a namespace."""
    return [SHELL, "-c", _INIT, "sandbox", STAGE]


def bare_arguments(stage: str) -> list[str]:
    """Return the command that waits and then becomes the program."""
    return ["/bin/sh", "-c", _BARE, "sandbox", stage]
