"""Programs that use more memory than they have, in every place where memory can be."""

from tests.integration.sandbox.attacks.attack import EVERYWHERE, LIMITS, MEMORY, Attack

__all__ = ["HOARDS"]

GROUPS = frozenset({"groups"})
KEPT = MEMORY | Attack("", "").ends  # refused, or stopped

HOARDS = [
    Attack(
        "memory",
        """
        hoard = []
        while True: hoard.append(bytearray(2**22))
        """,
        MEMORY,
        on=EVERYWHERE,
    ),
    Attack(
        "stack without end",
        """
        int deep(volatile char *above) { volatile char here[4096]; here[0] = above[0]; return deep(here) + here[0]; }
        int main() { volatile char first[1] = {1}; return deep(first); }
        """,
        exits=(-11,),
        message="killed by SIGSEGV",
        language="cpp",
        on=EVERYWHERE,
    ),
    Attack(
        "memory of many children",
        """
        import os, time
        for _ in range(12):
            if os.fork() == 0:
                hoard = bytearray(90 * 2**20)
                time.sleep(0.2)
                os._exit(0)
        for _ in range(12): os.wait()
        """,
        MEMORY,
        on=EVERYWHERE,
        needs=GROUPS,
    ),
    Attack(
        "disk",
        """
        import os
        total = 0
        for place in ("/tmp", "/box", "/dev/shm"):
            try:
                for number in range(100):
                    with open(f"{place}/{number}", "wb", buffering=0) as file:
                        for _ in range(32): total += file.write(bytes(2**20))
            except OSError: pass
        print(total <= 160 * 2**20)
        """,
        prints="True\n",
    ),
    Attack(
        "words of a lack of memory",
        'import sys\nprint("MemoryError", file=sys.stderr)\nsys.exit(1)',
        MEMORY,  # to its own cost
        limits=LIMITS,
        on=EVERYWHERE,
    ),
]
