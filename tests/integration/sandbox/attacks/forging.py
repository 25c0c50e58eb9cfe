"""Programs that forge how they ended: by the first process, its status line, exit codes, words, signals."""

from balancer.program import Status
from tests.integration.sandbox.attacks.attack import EVERYWHERE, Attack

__all__ = ["FORGERIES"]

CALLS = frozenset({"calls"})


def _on_the_first(name: str, call: str, needs: frozenset[str] = frozenset()) -> Attack:
    """An attack by system calls on process 1, none of which may work; it ends with 3."""
    return Attack(name, f"CALL\n{call}\nos._exit(3)\n", exits=(3,), prints="", needs=needs)


FORGERIES = [
    Attack(
        "words on the line of process 1",
        """
        import os
        for words in (b"garbage\\n", b"done x\\n", b"done 0\\n"):
            for fd in range(20):
                try: os.write(os.open(f"/proc/1/fd/{fd}", os.O_WRONLY), words); print("wrote", fd)
                except OSError: pass
        os._exit(3)
        """,
        exits=(3,),
        prints="",
    ),
    Attack(
        "words on lines of its own",
        """
        import os
        for fd in range(20):
            try: os.write(os.open(f"/proc/self/fd/{fd}", os.O_WRONLY), b"done 0\\n")
            except OSError: pass
            try: os.write(fd, b"ready\\ndone 0\\n")
            except OSError: pass
        os._exit(7)
        """,
        exits=(7,),
        on=EVERYWHERE,
    ),
    Attack(
        "what lies in process 1",
        """
        import os
        for name in "mem maps environ fd exe cwd root ns/pid map_files syscall stack auxv".split():
            path = f"/proc/1/{name}"
            try: print(name, os.readlink(path))
            except OSError: pass
            try: print(name, os.listdir(path))
            except OSError: pass
            try: print(name, open(path, "rb").read(10))
            except OSError: pass
        try: print(open("/stage/sh", "rb").read(4))
        except OSError: pass
        """,
        prints="",
    ),
    Attack(
        "signals to process 1",
        """
        import os, signal
        for number in range(1, 65):
            try: os.kill(1, number)
            except OSError: pass
        os._exit(3)
        """,
        exits=(3,),
    ),
    Attack(
        "signals to all",
        """
        import os, signal
        for number in (signal.SIGTERM, signal.SIGSTOP, signal.SIGKILL):
            try: os.kill(-1, number)
            except OSError: pass
        os._exit(3)
        """,
        exits=(3,),
    ),
    Attack("death of its process group", "import os\nos.kill(0, 9)", exits=(-9,), on=EVERYWHERE),
    _on_the_first(
        "ptrace",
        "for request in (16, 0x4206, 2, 5):\n    got = call(101, request, 1, 0, 0)\n    if got == 0: print(request)",
    ),
    _on_the_first(
        "limits of process 1",
        "import struct\n"
        "nothing = ctypes.create_string_buffer(struct.pack('QQ', 0, 0))\n"
        "for kind in range(16):\n"
        "    got = call(302, 1, kind, nothing, 0)\n"
        "    if got == 0: print(kind)",
        needs=CALLS,  # else it makes an end of its own report: never a better one
    ),
    *(
        Attack(f"exit code {code}", f"import os\nos._exit({code})", exits=exits, on=EVERYWHERE)
        for code, exits in ((42, (42,)), (43, (43,)), (255, (255,)), (256 + 3, (3,)), (127, (127,)))
    ),
    # What a shell says of a program that signal 9 killed, and of one that said 137, is the same.
    Attack("exit code 137", "import os\nos._exit(137)", exits=(137, -9), on=EVERYWHERE),
    Attack("exit code 128", "import os\nos._exit(128)", exits=(128,), on=EVERYWHERE),
    Attack(
        "everything closed, then a code",
        "import os\nos.closerange(0, 256)\nos._exit(4)",
        exits=(4,),
        prints="",
        on=EVERYWHERE,
    ),
    Attack(
        "a limit of CPU time of its own",
        """
        import resource
        resource.setrlimit(resource.RLIMIT_CPU, (0, 0))
        while True: pass
        """,
        frozenset({Status.FINISHED, Status.TIME_LIMIT}),
        exits=(-9, -24),
        on=EVERYWHERE,
    ),
]
