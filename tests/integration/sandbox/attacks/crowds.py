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
