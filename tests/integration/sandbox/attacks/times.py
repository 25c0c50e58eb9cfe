"""Programs that use more time than they have: all of it is counted, whoever uses it."""

from tests.integration.sandbox.attacks.attack import BUSY, EVERYWHERE, ISOLATED, SLEEPY, TIME, Attack

__all__ = ["TIMES"]


def _busy(
    name: str,
    source: str,
    language: str = "python",
    on: frozenset[str] = EVERYWHERE,
    needs: frozenset[str] = frozenset(),
) -> Attack:
    """An attack that is stopped by its CPU time."""
    return Attack(name, source, TIME, message="CPU time", language=language, limits=BUSY, on=on, needs=needs)


TIMES = [
    _busy("busy loop", "while True: pass"),
    Attack("sleeper", "import time; time.sleep(60)", TIME, message="wall time", limits=SLEEPY, on=EVERYWHERE),
    Attack(
        "stops itself",
        "import os, signal\nos.kill(os.getpid(), signal.SIGSTOP)",
        TIME,
        message="wall time",
        limits=SLEEPY,
        on=EVERYWHERE,
    ),
    _busy(
        "work shared among children",
        """
        import os
        for _ in range(3): os.fork()
        while True: pass
        """,
    ),
    _busy(
        "short children that nobody waits for",
        """
        #include <signal.h>
        #include <sys/wait.h>
        #include <unistd.h>
        int main() {
            signal(SIGCHLD, SIG_IGN);
            for (;;) {
                if (fork() == 0) { for (volatile int i = 0; i < 500000; i = i + 1); _exit(0); }
                wait(nullptr);
            }
        }
        """,
        language="cpp",
        needs=frozenset({"groups"}),
    ),
    _busy(
        "work of grandchildren that are left alone",
        """
        import os, time
        while True:
            pid = os.fork()
            if pid == 0:
                if os.fork(): os._exit(0)
                while time.process_time() < 0.05: pass
                os._exit(0)
            os.waitpid(pid, 0)
            time.sleep(0.06)
        """,
        on=ISOLATED,
    ),
    _busy(
        "a name like a process that runs",
        """
        import ctypes
        ctypes.CDLL(None).prctl(15, b"x) R 1 1 1 0 0", 0, 0, 0)
        while True: pass
        """,
    ),
]
