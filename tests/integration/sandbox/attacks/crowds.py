"""Programs that become many: no more than are allowed, and none is left."""

from tests.integration.sandbox.attacks.attack import BUSY, TIME, Attack

__all__ = ["CROWDS"]

CROWDS = [
    Attack(
        "fork bomb",
        """
        import os
        while True:
            try: os.fork()
            except OSError: pass
        """,
        TIME,
        limits=BUSY,
    ),
    Attack(
        "thread bomb",
        """
        #include <pthread.h>
        #include <stdio.h>
        #include <unistd.h>
        void *rest(void *) { for (;;) pause(); }
        int main() {
            int born = 1;
            pthread_t thread;
            while (born < 200 && pthread_create(&thread, nullptr, rest, nullptr) == 0) born++;
            puts(born <= 16 ? "few" : "many");
        }
        """,
        prints="few\n",
        language="cpp",
        exits=(0,),
    ),
    Attack(
        "more processes than allowed",
        """
        import os, time
        born = 0
        try:
            for _ in range(64):
                if os.fork() == 0: time.sleep(60)
                born += 1
        except OSError: pass
        print(8 <= born <= 16)
        """,
        prints="True\n",
    ),
    Attack(
        "daemons that are stopped",
        """
        import os, signal, time
        for _ in range(5):
            if os.fork() == 0:
                os.setsid()
                os.kill(os.getpid(), signal.SIGSTOP)
                time.sleep(60)
        time.sleep(0.05)
        os._exit(5)
        """,
        exits=(5,),
    ),
    Attack(
        "daemon that keeps stdout",
        """
        import os, sys, time
        print("bye", flush=True)
        if os.fork(): os._exit(0)
        os.setsid()
        while True: time.sleep(0.01); print("still here", flush=True)
        """,
    ),
]
