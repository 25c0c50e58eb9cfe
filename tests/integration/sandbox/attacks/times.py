"""Programs that use more time than they have: all of it is counted, whoever uses it."""

from tests.integration.sandbox.attacks.attack import BUSY, EVERYWHERE, SLEEPY, TIME, Attack

__all__ = ["TIMES"]

TIMES = [
    Attack("busy loop", "while True: pass", TIME, message="CPU time", limits=BUSY, on=EVERYWHERE),
    Attack(
        "busy loop in C++",
        "int main() { for (volatile int i = 0;; i = i + 1); }",
        TIME,
        message="CPU time",
        language="cpp",
        limits=BUSY,
        on=EVERYWHERE,
    ),
    Attack("sleeper", "import time; time.sleep(60)", TIME, message="wall time", limits=SLEEPY, on=EVERYWHERE),
    Attack(
        "deaf to all signals",
        """
        import signal
        for number in range(1, 65):
            try: signal.signal(number, signal.SIG_IGN)
            except (OSError, ValueError): pass
        while True: signal.pause()
        """,
        TIME,
        message="wall time",
        limits=SLEEPY,
        on=EVERYWHERE,
    ),
    Attack(
        "busy and deaf",
        """
        import signal
        signal.signal(signal.SIGXCPU, signal.SIG_IGN)
        while True: pass
        """,
        TIME,
        message="CPU time",
        limits=BUSY,
        on=EVERYWHERE,
    ),
    Attack(
        "stops itself",
        "import os, signal\nos.kill(os.getpid(), signal.SIGSTOP)",
        TIME,
        message="wall time",
        limits=SLEEPY,
        on=EVERYWHERE,
    ),
    Attack(
        "raises its limit of CPU time",
        """
        import resource
        try: resource.setrlimit(resource.RLIMIT_CPU, (10**6, 10**6))
        except ValueError: pass
        while True: pass
        """,
        TIME,
        message="CPU time",
        limits=BUSY,
        on=EVERYWHERE,
    ),
    Attack(
        "work shared among children",
        """
        import os
        for _ in range(3): os.fork()
        while True: pass
        """,
        TIME,
        message="CPU time",
        limits=BUSY,
        on=EVERYWHERE,
    ),
    Attack(
        "work shared among threads",
        """
        #include <pthread.h>
        void *work(void *) { for (volatile int i = 0;; i = i + 1); }
        int main() {
            pthread_t thread;
            for (int i = 0; i < 6; i++) pthread_create(&thread, nullptr, work, nullptr);
            pthread_join(thread, nullptr);
        }
        """,
        TIME,
        message="CPU time",
        language="cpp",
        limits=BUSY,
        on=EVERYWHERE,
    ),
    Attack(
        "children that nobody waits for",
        """
        import os, signal, time
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        while True:
            if os.fork() == 0:
                while time.process_time() < 0.1: pass
                os._exit(0)
            try: os.wait()
            except ChildProcessError: pass
        """,
        TIME,
        message="CPU time",
        limits=BUSY,
        on=EVERYWHERE,
    ),
    Attack(
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
        TIME,
        message="CPU time",
        language="cpp",
        limits=BUSY,
        on=EVERYWHERE,
        needs=frozenset({"groups"}),
    ),
    Attack(
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
        TIME,
        message="CPU time",
        limits=BUSY,
    ),
    Attack(
        "children in sessions of their own",
        """
        import os
        for _ in range(4):
            if os.fork() == 0:
                os.setsid()
                while True: pass
        os.wait()
        """,
        TIME,
        message="CPU time",
        limits=BUSY,
    ),
    Attack(
        "short sleeps between short work",
        """
        #include <time.h>
        int main() {
            timespec pause{0, 50000};
            for (;;) { for (volatile int i = 0; i < 1000000; i = i + 1); nanosleep(&pause, nullptr); }
        }
        """,
        TIME,
        message="CPU time",
        language="cpp",
        limits=BUSY,
        on=EVERYWHERE,
    ),
    Attack(
        "a storm of timers",
        """
        import signal
        signal.signal(signal.SIGALRM, lambda *_: None)
        signal.signal(signal.SIGPROF, lambda *_: None)
        signal.setitimer(signal.ITIMER_REAL, 1e-5, 1e-5)
        signal.setitimer(signal.ITIMER_PROF, 1e-5, 1e-5)
        while True: pass
        """,
        TIME,
        message="CPU time",
        limits=BUSY,
        on=EVERYWHERE,
    ),
    Attack(
        "exec without end",
        """
        #include <unistd.h>
        int main(int, char **argv) { execv("/proc/self/exe", argv); return 9; }
        """,
        TIME,
        message="CPU time",
        language="cpp",
        limits=BUSY,
        on=EVERYWHERE,
    ),
    Attack(
        "a name like a process that runs",
        """
        import ctypes
        ctypes.CDLL(None).prctl(15, b"x) R 1 1 1 0 0", 0, 0, 0)
        while True: pass
        """,
        TIME,
        message="CPU time",
        limits=BUSY,
        on=EVERYWHERE,
    ),
    Attack(
        "ends with a busy child left",
        """
        import os
        if os.fork() == 0:
            while True: pass
        """,
        exits=(0,),
    ),
]
