"""Hostile programs: how one is run, what it must get, and a table of them by theme."""

import platform
import textwrap
import time
from dataclasses import dataclass, field, replace

from balancer.errors import EndpointError
from balancer.program import Execution, Limits, Program, Status
from balancer.sandbox.languages.layout import lay_out
from balancer.sandbox.local.compile import CompileJob
from balancer.sandbox.local.executor import LocalExecutor
from tests.patience import stretched

__all__ = ["ATTACKS", "IN_PART", "Attack", "faults_of", "in_force", "run"]

CALLS, GROUPS = frozenset({"calls"}), frozenset({"groups"})

# Enough for programs that are to end by themselves, or by their CPU time, even when others keep the machine busy.
LIMITS = Limits(cpu_s=4.0, wall_s=60.0, memory_bytes=128 * 2**20, output_bytes=100_000, processes=16)
BUSY = replace(LIMITS, cpu_s=0.3)  # for programs that use up their CPU time
SLEEPY = replace(LIMITS, wall_s=0.5)  # for programs that use up their wall time
OVERTIME_S = 2.0
OVERRUN_S = 0.25  # of CPU time: two looks of all cores, and what dies meanwhile; more where the looks come late

TIME, MEMORY, OUTPUT = (frozenset({s}) for s in (Status.TIME_LIMIT, Status.MEMORY_LIMIT, Status.OUTPUT_LIMIT))
ISOLATED = frozenset({"bubblewrap", "unshare"})
EVERYWHERE = ISOLATED | {"rlimits"}

# Any system call by its number on x86-64: what it returned, or the name of the error.
CALL = """
import ctypes, errno, os
libc = ctypes.CDLL(None, use_errno=True)
def call(number, *args):
    got = libc.syscall(*(ctypes.c_long(a) if isinstance(a, int) else a for a in (number, *args)))
    return got if got >= 0 else errno.errorcode[ctypes.get_errno()]
"""


@dataclass(frozen=True)
class Attack:
    """A hostile program and how it has to end.

    Args:
        ends: the statuses it may get.
        prints: its whole stdout, if it gets to print.
        exits: the exit codes it may get, if it ends by itself; empty for any.
        message: what the message begins with.
        on: the isolations for which the promise holds.
        needs: the protections without which it does not hold: "calls" (the filter), "groups" (control groups).
        peak_bytes: the most memory that all of it may have had together, where a control group counts.
    """

    name: str
    source: str
    ends: frozenset[Status] = frozenset({Status.FINISHED})
    prints: str | None = None
    exits: tuple[int, ...] = ()
    message: str = ""
    language: str = "python"
    limits: Limits = field(default=LIMITS)
    on: frozenset[str] = ISOLATED
    needs: frozenset[str] = frozenset()
    peak_bytes: int = 256 * 2**20

    @property
    def by_number(self) -> bool:
        """Whether it names system calls by their numbers on x86-64."""
        return "call(" in self.source or "int $0x80" in self.source


def run(executor: LocalExecutor, attack: Attack, marker: str, stdin: bytes = b"") -> Execution:
    """Run it; it is stopped in time. A machine that is too busy to start it in time gets more."""
    source = textwrap.dedent(attack.source).replace("CALL\n", CALL)
    program = Program(attack.language, source, args=(marker,))
    limits = attack.limits
    if attack.language == "cpp":  # that takes its own time
        cpp = executor._toolchain.languages["cpp"]
        executor._compiler.compile(CompileJob(cpp, lay_out(cpp, program), limits))
    for _ in range(6):
        started_s = time.monotonic()
        try:
            execution = executor.run(program, stdin, limits, {})
        except EndpointError as error:
            if "no start within the wall time limit" not in error.reason:
                raise
            limits = replace(limits, wall_s=limits.wall_s * 2)
            continue
        assert time.monotonic() - started_s < limits.wall_s + stretched(OVERTIME_S)
        return execution
    raise AssertionError(f"not started within {limits.wall_s} s")


def faults_of(attack: Attack, execution: Execution) -> list[str]:
    """Return what is not as it must be."""
    faults = []
    if execution.status not in attack.ends:
        faults.append(f"status {execution.status}")
    ended = execution.status is Status.FINISHED
    if attack.exits and ended and execution.exit_code not in attack.exits:
        faults.append(f"exit code {execution.exit_code}")
    if not execution.message.startswith(attack.message):
        faults.append(f"message {execution.message!r}")
    if max(len(execution.stdout), len(execution.stderr)) > attack.limits.output_bytes:
        faults.append("too much output")
    if attack.prints is not None and (ended or execution.status is Status.OUTPUT_LIMIT):
        printed = execution.stdout.decode("utf-8", "replace")
        if printed != attack.prints:
            faults.append(f"printed {printed[:300]!r}, {execution.stderr[-300:]!r}")
    if execution.time_s > attack.limits.cpu_s + stretched(OVERRUN_S) and execution.cpu_measured:
        faults.append(f"{execution.time_s} s of CPU time")
    if execution.memory_bytes is not None and execution.memory_bytes > attack.peak_bytes:
        faults.append(f"{execution.memory_bytes} bytes of memory")
    return [f"{fault}: {execution}" for fault in faults]


def in_force(executor: LocalExecutor) -> frozenset[str]:
    """Return which of "calls" and "groups" this machine has for `executor`."""
    words = "; ".join(executor.protections[0])
    found = {"calls": "system calls are filtered", "groups": "for CPU time, memory and processes"}
    return frozenset(name for name, phrase in found.items() if phrase in words)


# They use more time than they have: all of it is counted, whoever uses it.


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
        needs=GROUPS,
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


# They become many: no more than are allowed, and none is left.


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
]


# They use more memory than they have, in every place where memory can be.


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
]


# They forge how they ended: by the first process, its status line, exit codes, words, signals.


def _on_the_first(name: str, call: str, needs: frozenset[str] = frozenset()) -> Attack:
    """An attack by system calls on process 1, none of which may work; it ends with 3."""
    return Attack(name, f"CALL\n{call}\nos._exit(3)\n", exits=(3,), prints="", needs=needs)


FORGERIES = [
    Attack(
        "words on the line of process 1",
        """
        import os
        for words in (b"garbage\\n", b"done x\\n", b"done 0\\n"):
            for fd in range(20):
                try: os.write(os.open(f"/proc/1/fd/{fd}", os.O_WRONLY), words); print("wrote", fd)
                except OSError: pass
        os._exit(3)
        """,
        exits=(3,),
        prints="",
    ),
    Attack(
        "words on lines of its own",
        """
        import os
        for fd in range(20):
            try: os.write(os.open(f"/proc/self/fd/{fd}", os.O_WRONLY), b"done 0\\n")
            except OSError: pass
            try: os.write(fd, b"ready\\ndone 0\\n")
            except OSError: pass
        os._exit(7)
        """,
        exits=(7,),
        on=EVERYWHERE,
    ),
    Attack(
        "what lies in process 1",
        """
        import os
        for name in "mem maps environ fd exe cwd root ns/pid map_files syscall stack auxv".split():
            path = f"/proc/1/{name}"
            try: print(name, os.readlink(path))
            except OSError: pass
            try: print(name, os.listdir(path))
            except OSError: pass
            try: print(name, open(path, "rb").read(10))
            except OSError: pass
        try: print(open("/stage/sh", "rb").read(4))
        except OSError: pass
        """,
        prints="",
    ),
    Attack(
        "signals to process 1",
        """
        import os, signal
        for number in range(1, 65):
            try: os.kill(1, number)
            except OSError: pass
        os._exit(3)
        """,
        exits=(3,),
    ),
    Attack(
        "signals to all",
        """
        import os, signal
        for number in (signal.SIGTERM, signal.SIGSTOP, signal.SIGKILL):
            try: os.kill(-1, number)
            except OSError: pass
        os._exit(3)
        """,
        exits=(3,),
    ),
    Attack("death of its process group", "import os\nos.kill(0, 9)", exits=(-9,), on=EVERYWHERE),
    _on_the_first(
        "ptrace",
        "for request in (16, 0x4206, 2, 5):\n    got = call(101, request, 1, 0, 0)\n    if got == 0: print(request)",
    ),
    _on_the_first(
        "limits of process 1",
        "import struct\n"
        "nothing = ctypes.create_string_buffer(struct.pack('QQ', 0, 0))\n"
        "for kind in range(16):\n"
        "    got = call(302, 1, kind, nothing, 0)\n"
        "    if got == 0: print(kind)",
        needs=CALLS,  # else it makes an end of its own report: never a better one
    ),
    # What a shell says of a program that signal 9 killed, and of one that said 137, is the same.
    *(
        Attack(f"exit code {code}", f"import os\nos._exit({code})", exits=exits, on=EVERYWHERE)
        for code, exits in (
            (42, (42,)),
            (43, (43,)),
            (255, (255,)),
            (256 + 3, (3,)),
            (127, (127,)),
            (128, (128,)),
            (137, (137, -9)),
        )
    ),
    Attack(
        "everything closed, then a code",
        "import os\nos.closerange(0, 256)\nos._exit(4)",
        exits=(4,),
        prints="",
        on=EVERYWHERE,
    ),
    Attack(
        "a limit of CPU time of its own",
        """
        import resource
        resource.setrlimit(resource.RLIMIT_CPU, (0, 0))
        while True: pass
        """,
        frozenset({Status.FINISHED, Status.TIME_LIMIT}),
        exits=(-9, -24),
        on=EVERYWHERE,
    ),
]


# They want to talk: to the machine, its network, its keys, to what they are shown of it.


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


# They want to change the machine, or to get at more of its kernel than a program needs.


def _refused(name: str, calls: str, on: frozenset[str] = EVERYWHERE, needs: frozenset[str] = frozenset()) -> Attack:
    """An attack by calls (numbers and arguments, separated by semicolons), each of which must be refused."""
    source = "CALL\n" + "".join(
        f"got = call({call.strip()})\nif not isinstance(got, str): print({call.strip()!r}, got)\n"
        for call in calls.split(";")
    )
    return Attack(name, source, prints="", on=on, needs=needs)


INTRUSIONS = [
    _refused("mounts", "165, b'tmpfs', b'/tmp', b'tmpfs', 0, 0; 166, b'/usr', 2; 155, b'/', b'/tmp'; 161, b'/tmp'"),
    _refused(
        "mounts of a new kind",
        "428, -100, b'/', 1; 430, b'tmpfs', 0; 429, 0, b'', -100, b'/tmp', 4; 442, -100, b'/', 0, 0, 0",
    ),
    _refused(
        "namespaces by unshare", ";".join(f"272, {1 << bit}" for bit in (7, 17, 25, 26, 27, 28, 29, 30)), ISOLATED
    ),
    _refused(
        "namespaces by clone",
        ";".join(f"56, {(1 << bit) | 17}, 0, 0, 0, 0" for bit in (17, 25, 26, 27, 28, 29, 30)),
        ISOLATED,
    ),
    _refused(
        "namespaces by clone3", "435, (ctypes.c_ulong * 11)(0x10000000, 0, 0, 0, 17, 0, 0, 0, 0, 0, 0), 88", ISOLATED
    ),
    _refused(
        "namespaces of others",
        "308, os.open('/proc/self/ns/net', 0), 0; 308, os.open('/proc/self/ns/user', 0), 0x10000000",
    ),
    _refused(
        "programs in the kernel",
        "321, 0, ctypes.create_string_buffer(128), 128; 321, 5, ctypes.create_string_buffer(128), 128",
    ),
    _refused("counters of the machine", "298, (ctypes.c_uint * 32)(1, 128), 0, -1, -1, 0"),
    _refused("io_uring", "425, 8, ctypes.create_string_buffer(128)", needs=CALLS),
    _refused("userfaultfd", "323, 0; 323, 1", needs=CALLS),
    _refused(
        "watching files",
        "300, 0, 0; 303, -100, b'/usr', ctypes.create_string_buffer(128), ctypes.byref(ctypes.c_int()), 0",
        needs=CALLS,
    ),
    _refused(
        "clock, name and power of the machine",
        "164, (ctypes.c_long * 2)(0, 0), 0; 170, b'x', 1; 171, b'x', 1; 169, 0xFEE1DEAD, 672274793, 0; "
        "227, 0, (ctypes.c_long * 2)(0, 0)",
    ),
    _refused(
        "modules and kernels",
        "175, 0, 0, b''; 313, 0, b'', 0; 176, b'x', 0; 246, 0, 0, 0, 0; 167, b'/tmp/x', 0; 163, b'/tmp/x'",
    ),
    _refused("ports of the machine", "172, 3; 173, 0, 1, 1; 154, 1, ctypes.create_string_buffer(16), 16", needs=CALLS),
    _refused("devices", "133, b'/tmp/d', 0o60666, 0x800; 133, b'/tmp/c', 0o20666, 0x101"),
    Attack(
        "calls of 32 bits",
        """
        #include <stdio.h>
        int main() {
            long got;
            asm volatile("int $0x80" : "=a"(got) : "a"(20L) : "memory");
            printf("%ld\\n", got);
            return got > 0 ? 0 : 7;
        }
        """,
        exits=(-31, -11, 7),  # the second and third: a kernel that knows none
        language="cpp",
        on=EVERYWHERE,
        needs=CALLS,
    ),
    Attack(
        "calls of x32",
        """
        CALL
        print(call(0x40000000 + 39))
        """,
        exits=(-31,),
        on=EVERYWHERE,
        needs=CALLS,
    ),
    Attack(
        "writing elsewhere",
        """
        import os
        places = ["/", "/usr", "/usr/bin", "/etc", "/dev", "/proc", "/stage", "/stage/files", "/usr/lib"]
        for place in places:
            try: open(os.path.join(place, "x"), "w"); print("wrote to", place)
            except OSError: pass
        for file in ("/stage/stdin", "/stage/sh", "/etc/ld.so.cache", "/usr/bin/python3", "/proc/sys/kernel/hostname"):
            try: open(file, "r+"); print("opened", file)
            except OSError: pass
            try: os.chmod(file, 0o777); print("changed", file)
            except OSError: pass
        """,
        prints="",
    ),
    Attack(
        "privileges",
        """
        import ctypes, os, resource
        status = dict(line.split(":\\t") for line in open("/proc/self/status").read().splitlines() if ":\\t" in line)
        print([status[key].strip("0") for key in ("CapEff", "CapPrm", "CapInh", "CapBnd")], status["NoNewPrivs"])
        libc = ctypes.CDLL(None)
        print([libc.unshare(flag) for flag in (0x10000000, 0x00020000, 0x40000000)])
        print(libc.mount(b"tmpfs", b"/tmp", b"tmpfs", 0, None), libc.umount(b"/usr"), libc.chroot(b"/tmp"))
        for kind in (resource.RLIMIT_AS, resource.RLIMIT_NPROC, resource.RLIMIT_FSIZE, resource.RLIMIT_CPU):
            try: resource.setrlimit(kind, (2**40, 2**40)); print("raised", kind)
            except ValueError: pass
        """,
        prints="['', '', '', ''] 1\n[-1, -1, -1]\n-1 -1 -1\n",
    ),
    Attack(
        "folders too deep to remove",
        """
        import os
        for _ in range(500): os.mkdir("d" * 100); os.chdir("d" * 100)
        open("x", "w"); os.chmod(".", 0)
        print("deep")
        """,
        prints="deep\n",
        on=EVERYWHERE,
    ),
]


# They print more than they may, for longer than they live, or in ways that a pipe does not expect.


def _flood(name: str, source: str) -> Attack:
    """An attack that is stopped as it prints too much."""
    return Attack(name, source, OUTPUT, on=EVERYWHERE)


FLOODS = [
    _flood("stderr", "import os\nwhile True: os.write(2, b'x' * 65536)"),
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
        OUTPUT | {Status.FINISHED},
    ),
]


_ALL: list[Attack] = [*TIMES, *CROWDS, *HOARDS, *FORGERIES, *TALKS, *INTRUSIONS, *FLOODS]

ATTACKS = [attack for attack in _ALL if platform.machine() == "x86_64" or not attack.by_number]

# Where a protection cannot be had: those that it would have met, and that must get nowhere all the same.
IN_PART = {
    "groups": [a for a in (*TIMES, *CROWDS, *HOARDS) if a in ATTACKS and "groups" not in a.needs],
    "calls": [a for a in ATTACKS if (a.by_number or a in HOARDS or a in FORGERIES) and "calls" not in a.needs],
}
