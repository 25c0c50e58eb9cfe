"""Shell scripts that wait in an isolation and start a program there. The text is fixed: data comes in a file.

The first process of a pid namespace reaps the orphans and must outlive the program. It also reports whether the set-up
went well. `/bin/sh` does both in less than a millisecond.

File descriptor 0 is the line to `process.Sandbox` and back. The program gets its input from a file, so it does not
inherit the descriptor. It could open the descriptor through /proc, or write to the shell's memory. So the shell is a
copy that nobody may read (`guarded_shell`): then the kernel lets no process of the same user look into it. Before
"ready", messages of the tools go to the program's stderr, which we read. After it, the shell's own messages
("Segmentation fault") go to /dev/null.

Steps: the script says "waiting" when its sandbox is set up, perhaps long before there is a program. Then it is moved to
its control group, so that all its later processes count. The program is written to the file `run` in the stage, a
folder that the script can read, and "go" makes it read that file. It says "ready" when the files are in place. Then it
waits for the limits of the process that will become the program. An empty line says that they are set. Any other word
means that it must set them itself, which takes one more program.

One sandbox may run the same program again (`again` in the file `run`). Then the script kills all that is left. It waits
for a word, which comes when no other process is left; an empty line ends it. It removes the files from the folders that
the program may write to. If they are then empty, it says "waiting" once more, else it ends.
"""

import os
import shlex
import shutil
from collections.abc import Sequence
from pathlib import Path

from balancer.sandbox.local.isolation.view import BOX, SHELL, STAGE, WRITABLE

__all__ = ["bare_arguments", "guarded_shell", "init_arguments", "run_file"]

_LONGEST = 2**17  # bytes of one argument, see execve(2)
_FEW = 99  # files that are removed before the next run

# Files are fetched when nothing else runs in the namespace: a word each, "-" for a missing one, else "+" and
# its content in base64. They go where "done" goes, before it.
# The kernel gives the first process only signals that it handles. The shell handles INT, to end at it.
# Argument: the stage. The limits are the program's alone: the shell must outlive them.
_INIT = f"""\
stage=$1
trap : INT
exec 3>&2 2>/dev/null
emptied() {{
  for folder in {" ".join(WRITABLE)}; do
    [ -r $folder ] && [ -w $folder ] && [ -x $folder ] && cd $folder || return
    for round in 1 2; do
      left=
      set -- * .[!.]* ..?*
      for name; do
        if [ -e "$name" ] || [ -L "$name" ]; then left=yes; fi
      done
      [ -n "$left" ] || break
      [ $round = 1 ] && [ $# -le {_FEW} ] && rm -f -- "$@" || return
    done
  done
  cd {BOX}
}}
while
(
  exec 2>&3
  echo waiting >&0
  read -r go <&0 || exit
  . "$stage/run" || exit
  [ -z "$copy" ] || cp -R "$stage/files/." . || exit
  echo ready >&0
  read -r unlimited <&0 || exit
  [ -n "$unlimited" ] || limits=
  exec 2>/dev/null
  exec $limits "$@" <"$stage/stdin" 2>&3 3>&-
)
code=$?
. "$stage/run"
[ -z "$again" ] || kill -KILL -1
if [ -n "$fetch" ]; then
  kill -KILL -1
  set -f
  IFS='
'
  for name in $fetch; do
    if [ -f "$name" ] && [ ! -L "$name" ]; then printf +; base64 -w0 <"$name"; echo; else echo -; fi
  done >&0
fi
echo "done $code" >&0
[ -n "$again" ] && read -r again <&0 && [ -n "$again" ] && emptied
do :; done
"""

# Without a pid namespace the program replaces the shell, so that both end together.
_BARE = """\
stage=$1
echo waiting >&0
read -r go <&0 || exit
. "$stage/run" || exit
echo ready >&0
read -r unlimited <&0 || exit
[ -n "$unlimited" ] || limits=
exec $limits "$@" <"$stage/stdin"
"""


def run_file(
    *, copy: bool, limits: Sequence[str], fetch: Sequence[str], argv: Sequence[str], again: bool = False
) -> bytes:
    """Return the content of the file that names the program to run.

    Args:
        copy: whether the files of the stage are copied to the working directory.
        limits: arguments of prlimit.
        fetch: names of files to send at the end, without line breaks.
        argv: the program and its arguments.
        again: whether the sandbox may be used once more.

    Raises:
        ValueError: an argument has a null byte, or is longer than the kernel allows.
    """
    if any("\0" in argument for argument in argv):
        raise ValueError("an argument of a program has a null byte; leave it out")
    if (longest := max(map(len, map(os.fsencode, argv)))) >= _LONGEST:
        raise ValueError(f"an argument of a program has {longest} bytes; it must have fewer than {_LONGEST}")
    lines = (
        f"copy={'yes' if copy else ''}",
        f"again={'yes' if again else ''}",
        f"limits={shlex.quote(' '.join(('prlimit', *limits, '--')))}",
        f"fetch={shlex.quote(chr(10).join(fetch))}",
        f"set -- {shlex.join(argv)}",
    )
    return os.fsencode("\n".join((*lines, "")))


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
