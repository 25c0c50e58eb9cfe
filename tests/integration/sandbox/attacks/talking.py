"""Programs that want to talk: to the machine, its network, its terminal, its keys, to what they are shown of it."""

from tests.integration.sandbox.attacks.attack import EVERYWHERE, Attack

__all__ = ["TALKS"]

CALLS = frozenset({"calls"})

TALKS = [
    Attack(
        "families of sockets",
        """
        import socket
        for family in range(46):
            for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_RAW, socket.SOCK_SEQPACKET):
                try: socket.socket(family, kind).close()
                except OSError: continue
                if family not in (1, 2, 10, 16): print(family, kind)
                if family in (2, 10) and kind == socket.SOCK_RAW: print("raw", family)
        """,
        prints="",
        on=EVERYWHERE,
        needs=CALLS,
    ),
    Attack(
        "keys",
        """
        CALL
        got = call(248, b"user", b"balancer-key", b"1", 1, -3)
        print([got if isinstance(got, str) else "a key", call(250, 0, -4, 1, 0, 0), call(249, b"user", b"x", 0, -3)])
        """,
        prints="['ENOSYS', 'ENOSYS', 'ENOSYS']\n",
        on=EVERYWHERE,
        needs=CALLS,
    ),
    Attack(
        "files of others",
        """
        import os
        for path in ("/etc/shadow", "/etc/passwd", "/root", "/home", "/work", "/var", "/sys", "/run", "/boot", "/mnt"):
            try: print(path, os.listdir(path) if os.path.isdir(path) else open(path).read())
            except OSError: pass
        print(sorted(name for name in os.listdir("/etc") if not name.startswith("java-")))
        """,
        prints="['alternatives', 'ld.so.cache']\n",
    ),
    Attack(
        "other processes",
        """
        import os
        pids = [int(name) for name in os.listdir("/proc") if name.isdigit()]
        print(set(pids) <= {1, 2, os.getpid(), os.getppid()}, os.getppid())
        try: os.kill(-1, 9)
        except ProcessLookupError: print("nobody to kill")
        """,
        prints="True 1\nnobody to kill\n",
    ),
    Attack(
        "what the kernel says",
        """
        import os
        for name in "proc/kcore proc/kmsg proc/keys proc/sysrq-trigger proc/1/environ dev/kmsg dev/mem".split():
            path = "/" + name
            try:
                with open(path, "rb") as file:
                    if file.read(4): print(path)
            except OSError: pass
        """,
        prints="",
    ),
]
