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
def stay():
    if os.fork() == 0:
        os.setsid()
        time.sleep(97)
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
    **{
        f"{flag}_of_{fd}": _way(
            f"fcntl.fcntl({fd}, fcntl.F_SETFL, fcntl.fcntl({fd}, fcntl.F_GETFL) | os.{flag})",
            f"bool(fcntl.fcntl({fd}, fcntl.F_GETFL) & os.{flag})",
        )
        for flag in ("O_APPEND", "O_ASYNC", "O_NONBLOCK")
        for fd in (1, 2)
    },
    "file_in_box": _written("/box/.left", "left"),
    "file_in_shm": _written("/dev/shm/left", "left"),
    "file_in_tmp": _written("/tmp/left", "left"),
    "sysctl_mqueue": _written("/proc/sys/fs/mqueue/queues_max", "81"),
    "sysctl_msgmax": _written("/proc/sys/kernel/msgmax", "8111"),
    "autogroup": _way(
        """
        with open("/proc/self/autogroup", "w") as file:
            file.write("7")
        """,
        """
        with open("/proc/self/autogroup") as file:
            return "nice 7" in file.read()
        """,
    ),
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
    "flags_of_folder": _way(
        """
        folder = os.open("/tmp", os.O_RDONLY)
        fcntl.ioctl(folder, 0x40086602, struct.pack("l", 0x40))
        """,
        """
        folder = os.open("/tmp", os.O_RDONLY)
        return bool(struct.unpack("l", fcntl.ioctl(folder, 0x80086601, bytes(8)))[0] & 0x40)
        """,
    ),
    "flags_of_input": _way(
        "fcntl.fcntl(0, fcntl.F_SETFL, os.O_NONBLOCK)", "bool(fcntl.fcntl(0, fcntl.F_GETFL) & os.O_NONBLOCK)"
    ),
    "hostname": _way('socket.sethostname("left")', 'socket.gethostname() == "left"'),
    "ioprio_of_first": _way("_call(251, 1, 1, 3 << 13)", "_call(252, 1, 1) == 3 << 13"),
    "key_of_user": _way(
        '_call(248, b"user", b"balancer-left", b"left", 4, -4)', '_call(250, 10, -4, b"user", b"balancer-left", 0) > 0'
    ),
    "mode_of_box": _way('os.chmod("/box", 0o2711)', 'os.stat("/box").st_mode & 0o7777 == 0o2711'),
    "mode_of_input": _way('os.chmod("/stage/stdin", 0o777)', 'os.stat("/stage/stdin").st_mode & 0o777 == 0o777'),
    "numbers_of_files": _way(
        """
        for _ in range(3000):
            os.close(os.open("/tmp/many", os.O_CREAT))
            os.unlink("/tmp/many")
        """,
        """
        file = os.open("/tmp/one", os.O_CREAT)
        number = os.fstat(file).st_ino
        os.unlink("/tmp/one")
        return number > 3000
        """,
    ),
    "numbers_of_processes": _way(
        """
        for _ in range(150):
            child = os.fork()
            if not child:
                os._exit(0)
            os.waitpid(child, 0)
        """,
        "os.getpid() > 150",
    ),
    "port_in_time_wait": _way(
        """
        with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as one:
            server.accept()[0].close()
            one.recv(1)
        """,
        """
        with open("/proc/net/tcp") as file:
            return any(line.split()[3] in ("06", "05", "04", "09") for line in file)
        """,
    ),
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
    "slice_of_first": _way(
        '_call(314, 1, struct.pack("IIQiIQQQ", 48, 0, 0, 0, 0, 5_000_000, 0, 0), 0)',
        """
        got = ctypes.create_string_buffer(48)
        _call(315, 1, got, 48, 0)
        return bool(struct.unpack("IIQiIQQQ", got.raw)[5] == 5_000_000)
        """,
    ),
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
    "times_of_folders": _way(
        """
        for folder in ("/box", "/tmp", "/dev/shm"):
            os.utime(folder, (1, 1))
        """,
        'any(os.stat(folder).st_mtime == 1 for folder in ("/box", "/tmp", "/dev/shm"))',
    ),
    "times_of_shell": _way('os.utime("/stage/sh", (77, 77))', 'os.stat("/stage/sh").st_mtime == 77'),
    "xattr_of_tmp": _way('os.setxattr("/tmp", "user.h", b"left")', '"user.h" in os.listxattr("/tmp")'),
}
