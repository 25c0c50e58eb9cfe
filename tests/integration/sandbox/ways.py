"""Ways to leave something behind in a sandbox, each with a look for it: see `leaving`.

A way is the text of two functions. `leave` leaves something; an OSError means that the sandbox refuses it. `look`
returns whether it is there.
"""

from textwrap import dedent, indent

__all__ = ["CHANGED_BY_OTHERS", "COMMON", "WAYS"]

# What all of them may use.
COMMON = """
import ctypes, fcntl, os, platform, resource, signal, site, socket, sqlite3, struct, sys, time
from pathlib import Path
def _libc(name, *args):
    got = getattr(ctypes.CDLL(None, use_errno=True), name)(*args)
    if got < 0: raise OSError(ctypes.get_errno(), "refused")
    return int(got)
def _call(number, *args):
    if platform.machine() != "x86_64": raise OSError("the numbers are those of x86-64")
    return _libc("syscall", number, *args)
"""
CHANGED_BY_OTHERS = {"times_of_devices"}  # they belong to the machine


def _way(leave: str, look: str) -> str:
    body = look if "return " in look else f"return {look}"
    return f"def leave():\n{indent(dedent(leave), '    ')}\ndef look():\n{indent(dedent(body), '    ')}\n"


def _written(file: str, text: str) -> str:
    return _way(
        f"with open({file!r}, 'w') as file: file.write({text!r})", f"open({file!r}).read().split() == {text.split()}"
    )


WAYS = {
    "file_in_shm": _written("/dev/shm/left", "left"),
    "file_in_tmp": _written("/tmp/left", "left"),
    "counters_of_network": _way(
        """
        with socket.socket(type=socket.SOCK_DGRAM) as one:
            one.sendto(b"left", ("127.0.0.1", 9))
        """,
        """
        with open("/proc/net/snmp") as file:
            counts = [line.split()[1:] for line in file if line.startswith("Udp:")][1]
        return any(map(int, counts[:4]))
        """,
    ),
    **{
        f"flags_of_{fd}": _way(
            f"fcntl.fcntl({fd}, fcntl.F_SETFL, os.O_NONBLOCK)",
            f"bool(fcntl.fcntl({fd}, fcntl.F_GETFL) & os.O_NONBLOCK)",
        )
        for fd in range(3)
    },
    "hostname": _way('socket.sethostname("left")', 'socket.gethostname() == "left"'),
    "key_of_user": _way(
        '_call(248, b"user", b"balancer-left", b"left", 4, -4)', '_call(250, 10, -4, b"user", b"balancer-left", 0) > 0'
    ),
    "mode_of_input": _way('os.chmod("/stage/stdin", 0o777)', 'os.stat("/stage/stdin").st_mode & 0o777 == 0o777'),
    "process": _way(
        """
        if os.fork() == 0:
            os.setsid()
            os.execvp("sleep", ["sleep", "97"])
        """,
        """
        numbers = [name for name in os.listdir("/proc") if name.isdigit()]
        return any(Path(f"/proc/{number}/cmdline").read_bytes() == b"sleep\\097\\0" for number in numbers)
        """,
    ),
    "queue": _way('_libc("msgget", 77, 0o1600)', '_libc("msgget", 77, 0) >= 0'),
    "signal_of_stdout": _way("fcntl.fcntl(1, 10, 44)", "fcntl.fcntl(1, 11) == 44"),
    "size_of_stdout": _way("fcntl.fcntl(1, fcntl.F_SETPIPE_SZ, 8192)", "fcntl.fcntl(1, fcntl.F_GETPIPE_SZ) == 8192"),
    "times_of_devices": _way(
        """
        for quarter, device in enumerate(("null", "zero", "full", "urandom")):
            while int(time.time() % 1 * 16) != 4 * quarter + 1:
                time.sleep(0.01)
            os.utime(f"/dev/{device}")
        """,
        """
        times = [os.stat(f"/dev/{device}").st_mtime for device in ("null", "zero", "full", "urandom")]
        return [int(time % 1 * 4) for time in times] == [0, 1, 2, 3]
        """,
    ),
    "times_of_shell": _way('os.utime("/stage/sh", (77, 77))', 'os.stat("/stage/sh").st_mtime == 77'),
    "xattr_of_tmp": _way('os.setxattr("/tmp", "user.h", b"left")', '"user.h" in os.listxattr("/tmp")'),
}
