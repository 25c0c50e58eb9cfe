"""Programs that print more than they may, for longer than they live, or in ways that a pipe does not expect."""

from tests.integration.sandbox.attacks.attack import EVERYWHERE, LIMITS, OUTPUT, SLEEPY, TIME, Attack

__all__ = ["FLOODS"]


def _flood(name: str, source: str) -> Attack:
    """An attack that is stopped as it prints too much."""
    return Attack(name, source, OUTPUT, on=EVERYWHERE)


FLOODS = [
    Attack(
        "stdout",
        "import os\nwhile True: os.write(1, b'x' * 65536)",
        OUTPUT,
        prints="x" * LIMITS.output_bytes,
        on=EVERYWHERE,
    ),
    _flood("stderr", "import os\nwhile True: os.write(2, b'x' * 65536)"),
    _flood("both at once", "import os\nwhile True: os.write(1, b'x'); os.write(2, b'x' * 1000)"),
    Attack(
        "just as much as allowed",
        f"import os\nos.write(1, b'x' * {LIMITS.output_bytes})",
        prints="x" * LIMITS.output_bytes,
        exits=(0,),
        on=EVERYWHERE,
    ),
    _flood(
        "a byte more than allowed",
        f"import os\nos.write(1, b'x' * {LIMITS.output_bytes + 1})",
    ),
    _flood(
        "stdout opened anew",
        """
        import os
        fd = os.open("/proc/self/fd/1", os.O_WRONLY)
        os.closerange(0, fd)
        while True: os.write(fd, b"x" * 4096)
        """,
    ),
    Attack(
        "stdout read by its writer",
        """
        import os
        fd = os.open("/dev/stdout", os.O_RDONLY)
        os.set_blocking(fd, False)
        os.write(1, b"x" * 100)
        try: os.read(fd, 50)
        except BlockingIOError: pass
        """,
        on=EVERYWHERE,
    ),
    _flood(
        "stdout that does not wait",
        """
        import os
        os.set_blocking(1, False)
        while True:
            try: os.write(1, b"x" * 65536)
            except BlockingIOError: pass
        """,
    ),
    _flood(
        "a pipe of another size",
        """
        import fcntl, os
        for size in (4096, 2**20):
            try: fcntl.fcntl(1, 1031, size)
            except OSError: pass
        while True: os.write(1, b"x" * 3000)
        """,
    ),
    Attack(
        "stdout cut, sought and locked",
        """
        import fcntl, os
        for act in (lambda: os.ftruncate(1, 0), lambda: os.lseek(1, 0, 0), lambda: fcntl.flock(1, fcntl.LOCK_EX),
                    lambda: os.fchmod(1, 0), lambda: fcntl.fcntl(1, fcntl.F_SETFL, os.O_APPEND | os.O_DIRECT)):
            try: act()
            except OSError: pass
        os.write(1, b"still\\n")
        """,
        prints="still\n",
        on=EVERYWHERE,
    ),
    Attack(
        "flood of a daemon",
        """
        import os
        if os.fork(): os._exit(0)
        os.setsid()
        while True: os.write(1, b"x" * 65536)
        """,
        frozenset({*OUTPUT, *Attack("", "").ends}),
    ),
    Attack(
        "closed stdout",
        "import os, time\nfor fd in range(3): os.close(fd)\ntime.sleep(60)",
        TIME,
        message="wall",
        limits=SLEEPY,
        on=EVERYWHERE,
    ),
    Attack(
        "no text",
        "import os\nos.write(1, bytes(range(256)) * 10)\nos.write(2, b'\\xff' * 10)",
        exits=(0,),
        on=EVERYWHERE,
    ),
]
