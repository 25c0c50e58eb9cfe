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
    "comm_of_first": _written("/proc/1/comm", "left"),
    "coredump_filter_of_first": _written("/proc/1/coredump_filter", "00000001"),
    "file_in_box": _written("/box/.left", "left"),
    "file_in_root": _written("/left", "left"),
    "file_in_shm": _written("/dev/shm/left", "left"),
    "file_in_stage": _written("/stage/left", "left"),
    "file_in_tmp": _written("/tmp/left", "left"),
    "file_in_usr": _written("/usr/left", "left"),
    "file_of_odd_name": _written("/box/-rf *", "left"),
    "oom_score_adj_of_first": _written("/proc/1/oom_score_adj", "77"),
    "preload": _written("/etc/ld.so.preload", "left"),
    "sysctl_backlog": _written("/proc/sys/net/core/somaxconn", "4097"),
    "sysctl_core": _written("/proc/sys/kernel/core_pattern", "left"),
    "sysctl_domain": _written("/proc/sys/kernel/domainname", "left"),
    "sysctl_last_pid": _written("/proc/sys/kernel/ns_last_pid", "7777"),
    "sysctl_mqueue": _written("/proc/sys/fs/mqueue/queues_max", "81"),
    "sysctl_msgmax": _written("/proc/sys/kernel/msgmax", "8111"),
    "sysctl_ports": _written("/proc/sys/net/ipv4/ip_local_port_range", "20000 20017"),
    "sysctl_sem": _written("/proc/sys/kernel/sem", "77 77000 77 77"),
    "sysctl_shm_rmid": _written("/proc/sys/kernel/shm_rmid_forced", "1"),
    "sysctl_shmmax": _written("/proc/sys/kernel/shmmax", "81110"),
    "sysctl_swap": _written("/proc/sys/vm/swappiness", "17"),
    "timerslack_ns_of_first": _written("/proc/1/timerslack_ns", "777777"),
    "abstract_socket": _way(
        """
        one = socket.socket(socket.AF_UNIX)
        one.bind("\\0left")
        one.listen()
        stay()
        """,
        """
        with socket.socket(socket.AF_UNIX) as one:
            return one.connect_ex("\\0left") == 0
        """,
    ),
    "affinity_of_first": _way(
        """
        if len(os.sched_getaffinity(1)) == 1:
            raise OSError("there is one core")
        os.sched_setaffinity(1, {min(os.sched_getaffinity(1))})
        """,
        "len(os.sched_getaffinity(1)) == 1",
    ),
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
    "bytecode": _way(
        """
        os.mkdir("/box/__pycache__")
        open("/box/__pycache__/random.cpython-313.pyc", "w").close()
        """,
        'os.path.exists("/box/__pycache__")',
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
    "database": _way(
        """
        with sqlite3.connect("/tmp/answers") as table:
            table.execute("create table left (a)")
        """,
        'os.path.exists("/tmp/answers")',
    ),
    "fifo": _way('os.mkfifo("/tmp/fifo")', 'os.path.exists("/tmp/fifo")'),
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
    "folders": _way('os.makedirs("/tmp/deep/er/left")', 'os.path.exists("/tmp/deep/er/left")'),
    "hostname": _way('socket.sethostname("left")', 'socket.gethostname() == "left"'),
    "input": _way('os.close(os.open("/proc/self/fd/0", os.O_RDWR))', 'os.access("/proc/self/fd/0", os.W_OK)'),
    "ioprio_of_first": _way("_call(251, 1, 1, 3 << 13)", "_call(252, 1, 1) == 3 << 13"),
    "key_of_user": _way(
        '_call(248, b"user", b"balancer-left", b"left", 4, -4)', '_call(250, 10, -4, b"user", b"balancer-left", 0) > 0'
    ),
    "large_file": _way(
        'os.truncate(os.open("/tmp/large", os.O_CREAT | os.O_RDWR), 60 * 2**20)', 'os.path.exists("/tmp/large")'
    ),
    "limit_of_first": _way(
        "resource.prlimit(1, resource.RLIMIT_NOFILE, (77, 77))",
        "resource.prlimit(1, resource.RLIMIT_NOFILE) == (77, 77)",
    ),
    "line_of_first": _way('os.close(os.open("/proc/1/fd/0", os.O_WRONLY))', 'os.access("/proc/1/fd/0", os.W_OK)'),
    "link_to_nowhere": _way('os.symlink("/nowhere", "/box/link")', 'os.path.islink("/box/link")'),
    "link_to_program": _way('os.link("/usr/bin/env", "/tmp/env")', 'os.path.exists("/tmp/env")'),
    "lock": _way(
        """
        file = os.open("/box", os.O_RDONLY)
        fcntl.flock(file, fcntl.LOCK_EX)
        stay()
        """,
        """
        try:
            fcntl.flock(os.open("/box", os.O_RDONLY), fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        return False
        """,
    ),
    "locked_folder": _way(
        """
        os.makedirs("/box/locked/left")
        os.chmod("/box/locked", 0)
        """,
        'os.path.exists("/box/locked")',
    ),
    "many_files": _way(
        """
        for number in range(2000):
            os.close(os.open(f"/dev/shm/{number}", os.O_CREAT))
        """,
        'os.path.exists("/dev/shm/1999")',
    ),
    "map_of_users": _way(
        'Path("/proc/self/uid_map").write_text("0 0 2")',
        'Path("/proc/self/uid_map").read_text().split() == ["0", "0", "2"]',
    ),
    "memory_of_first": _way('os.close(os.open("/proc/1/mem", os.O_RDWR))', 'os.access("/proc/1/mem", os.W_OK)'),
    "mode_of_box": _way('os.chmod("/box", 0o2711)', 'os.stat("/box").st_mode & 0o7777 == 0o2711'),
    "mode_of_input": _way('os.chmod("/stage/stdin", 0o777)', 'os.stat("/stage/stdin").st_mode & 0o777 == 0o777'),
    "mode_of_shm": _way('os.chmod("/dev/shm", 0o300)', 'os.stat("/dev/shm").st_mode & 0o777 == 0o300'),
    "mode_of_tmp": _way('os.chmod("/tmp", 0o1744)', 'os.stat("/tmp").st_mode & 0o7777 == 0o1744'),
    "module_of_python": _way(
        """
        os.makedirs(site.getusersitepackages())
        open(f"{site.getusersitepackages()}/usercustomize.py", "w").close()
        """,
        'os.path.exists(f"{site.getusersitepackages()}/usercustomize.py")',
    ),
    "mount": _way(
        """
        os.makedirs("/tmp/mount", exist_ok=True)
        if ctypes.CDLL(None, use_errno=True).mount(b"left", b"/tmp/mount", b"tmpfs", 0, None):
            raise OSError(ctypes.get_errno(), "refused")
        """,
        'os.path.ismount("/tmp/mount")',
    ),
    "network_down": _way(
        """
        with socket.socket() as one:
            fcntl.ioctl(one, 0x8914, struct.pack("16sh14x", b"lo", 0x1000))
        """,
        """
        with socket.socket() as one:
            got = fcntl.ioctl(one, 0x8913, struct.pack("16sh14x", b"lo", 0))
            return bool(struct.unpack("16sh14x", got)[1] & 0x1000)
        """,
    ),
    "nice_of_first": _way("os.setpriority(os.PRIO_PROCESS, 1, 19)", "os.getpriority(os.PRIO_PROCESS, 1) == 19"),
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
    "owner_of_folder": _way('os.chown("/tmp", -1, 7)', 'os.stat("/tmp").st_gid == 7'),
    "policy_of_first": _way(
        "os.sched_setscheduler(1, os.SCHED_BATCH, os.sched_param(0))", "os.sched_getscheduler(1) == os.SCHED_BATCH"
    ),
    "port": _way(
        """
        one = socket.socket(type=socket.SOCK_DGRAM)
        one.bind(("127.0.0.1", 4001))
        stay()
        """,
        """
        with socket.socket(type=socket.SOCK_DGRAM) as one:
            try:
                one.bind(("127.0.0.1", 4001))
            except OSError:
                return True
            return False
        """,
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
    "position_of_input": _way("os.lseek(0, 1, os.SEEK_SET)", "os.lseek(0, 0, os.SEEK_CUR) == 1"),
    "posix_queue": _way(
        '_libc("mq_open", b"/left", os.O_CREAT | os.O_RDWR, 0o600, None)', '_libc("mq_open", b"/left", os.O_RDWR) >= 0'
    ),
    "posix_semaphore": _way(
        'ctypes.CDLL(None).sem_open(b"/left", os.O_CREAT, 0o600, 1)', 'os.path.exists("/dev/shm/sem.left")'
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
    "process_without_signals": _way(
        """
        if os.fork() == 0:
            os.setsid()
            for number in (1, 2, 3, 15):
                signal.signal(number, signal.SIG_IGN)
            open("/tmp/stays", "w").close()
            while True:
                os.utime("/tmp/stays")
                time.sleep(0.01)
        """,
        """
        time.sleep(0.05)
        return os.path.exists("/tmp/stays") and time.time() - os.stat("/tmp/stays").st_mtime < 1
        """,
    ),
    "queue": _way('_libc("msgget", 77, 0o1600)', '_libc("msgget", 77, 0) >= 0'),
    "semaphore": _way('_libc("semget", 77, 1, 0o1600)', '_libc("semget", 77, 1, 0) >= 0'),
    "shared_memory": _way('_libc("shmget", 77, 4096, 0o1600)', '_libc("shmget", 77, 4096, 0) >= 0'),
    "signal_of_stderr": _way("fcntl.fcntl(2, 10, 44)", "fcntl.fcntl(2, 11) == 44"),
    "signal_of_stdout": _way("fcntl.fcntl(1, 10, 44)", "fcntl.fcntl(1, 11) == 44"),
    "size_of_stderr": _way("fcntl.fcntl(2, fcntl.F_SETPIPE_SZ, 8192)", "fcntl.fcntl(2, fcntl.F_GETPIPE_SZ) == 8192"),
    "size_of_stdout": _way("fcntl.fcntl(1, fcntl.F_SETPIPE_SZ, 8192)", "fcntl.fcntl(1, fcntl.F_GETPIPE_SZ) == 8192"),
    "slice_of_first": _way(
        '_call(314, 1, struct.pack("IIQiIQQQ", 48, 0, 0, 0, 0, 5_000_000, 0, 0), 0)',
        """
        got = ctypes.create_string_buffer(48)
        _call(315, 1, got, 48, 0)
        return bool(struct.unpack("IIQiIQQQ", got.raw)[5] == 5_000_000)
        """,
    ),
    "socket_file": _way('socket.socket(socket.AF_UNIX).bind("/tmp/socket")', 'os.path.exists("/tmp/socket")'),
    "source": _way(
        """
        with open("/box/main.py", "a") as file:
            file.write("#left")
        """,
        """
        with open("/box/main.py") as file:
            return file.read().endswith("#left")
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
    "times_of_interpreter": _way("os.utime(sys.executable, (77, 77))", "os.stat(sys.executable).st_mtime == 77"),
    "times_of_shell": _way('os.utime("/stage/sh", (77, 77))', 'os.stat("/stage/sh").st_mtime == 77'),
    "xattr_of_box": _way('os.setxattr("/box", "user.big", bytes(12_000))', '"user.big" in os.listxattr("/box")'),
    "xattr_of_shm": _way('os.setxattr("/dev/shm", "user.h", b"left")', '"user.h" in os.listxattr("/dev/shm")'),
    "xattr_of_stage": _way('os.setxattr("/stage", "user.h", b"left")', '"user.h" in os.listxattr("/stage")'),
    "xattr_of_tmp": _way('os.setxattr("/tmp", "user.h", b"left")', '"user.h" in os.listxattr("/tmp")'),
}
