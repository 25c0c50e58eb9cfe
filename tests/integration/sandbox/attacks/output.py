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
]
