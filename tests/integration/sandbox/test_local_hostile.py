"""Programs that mean harm, in every isolation: none gets anywhere, each ends in time, nothing of any is left."""

import os
import socket
import subprocess
import sys
import textwrap
import threading
import time
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from balancer.program import Execution, Limits, Program, Status
from balancer.sandbox.local.executor import LocalExecutor
from balancer.sandbox.local.languages import LANGUAGES
from tests.integration.sandbox.processes import processes_with, wait_until
from tests.patience import stretched

# Enough for programs that are to end by themselves, even when others keep the machine busy.
LIMITS = Limits(cpu_s=4.0, wall_s=8.0, memory_bytes=128 * 2**20, output_bytes=100_000, processes=16)
BUSY = replace(LIMITS, cpu_s=0.3)  # for programs that use up their CPU time
SLEEPY = replace(LIMITS, wall_s=0.5)  # for programs that use up their wall time
OVERTIME_S = 1.0


@dataclass(frozen=True)
class Attack:
    """A hostile program and how it has to end.

    `prints`: its whole stdout, if it gets to print. `message`: what the message begins with.
    """

    name: str
    source: str
    ends: frozenset[Status] = frozenset({Status.FINISHED})
    prints: str | None = None
    message: str = ""
    language: str = "python"
    limits: Limits = field(default=LIMITS)
    isolated_only: bool = True


TIME, MEMORY, OUTPUT = (frozenset({s}) for s in (Status.TIME_LIMIT, Status.MEMORY_LIMIT, Status.OUTPUT_LIMIT))

ATTACKS = [
    Attack("busy loop", "while True: pass", TIME, message="CPU time", limits=BUSY, isolated_only=False),
    Attack("sleeper", "import time; time.sleep(60)", TIME, message="wall time", limits=SLEEPY, isolated_only=False),
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
        isolated_only=False,
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
        isolated_only=False,
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
    ),
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
        "fork bomb in C++",
        "#include <unistd.h>\nint main() { for (;;) fork(); }",
        TIME,
        language="cpp",
        limits=BUSY,
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
        "daemon",
        """
        import os, time
        if os.fork(): os._exit(0)
        os.setsid()
        if os.fork(): os._exit(0)
        time.sleep(60)
        """,
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
    Attack(
        "memory",
        """
        hoard = []
        while True: hoard.append(bytearray(2**22))
        """,
        MEMORY,
        isolated_only=False,
    ),
    Attack(
        "memory in C++",
        "#include <vector>\nint main() { std::vector<int> v; for (;;) v.push_back(1); }",
        MEMORY,
        language="cpp",
        isolated_only=False,
    ),
    Attack(
        "stdout",
        "import os\nwhile True: os.write(1, b'x' * 65536)",
        OUTPUT,
        prints="x" * LIMITS.output_bytes,
        isolated_only=False,
    ),
    Attack("stderr", "import os\nwhile True: os.write(2, b'x' * 65536)", OUTPUT, isolated_only=False),
    Attack(
        "both at once",
        "import os\nwhile True: os.write(1, b'x'); os.write(2, b'x' * 1000)",
        OUTPUT,
        isolated_only=False,
    ),
    Attack(
        "closed stdout",
        "import os, time\nfor fd in range(3): os.close(fd)\ntime.sleep(60)",
        TIME,
        message="wall",
        limits=SLEEPY,
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
        "writing elsewhere",
        """
        import os
        places = ["/", "/usr", "/usr/bin", "/etc", "/dev", "/proc", "/stage", "/stage/files", "/usr/lib"]
        for place in places:
            try: open(os.path.join(place, "x"), "w"); print("wrote to", place)
            except OSError: pass
        for file in ("/stage/stdin", "/etc/ld.so.cache", "/usr/bin/python3", "/proc/sys/kernel/hostname"):
            try: open(file, "r+"); print("opened", file)
            except OSError: pass
            try: os.chmod(file, 0o777); print("changed", file)
            except OSError: pass
        """,
        prints="",
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
        "huge file",
        """
        import errno
        try:
            with open("huge", "wb", buffering=0) as file:
                for _ in range(200): file.write(bytes(2**20))
        except OSError as error: print(error.errno in (errno.EFBIG, errno.ENOSPC))
        """,
        prints="True\n",
    ),
    Attack(
        "sparse file",
        """
        import os
        try: os.truncate(os.open("huge", os.O_CREAT | os.O_RDWR), 2**40); print("made it")
        except OSError: pass
        """,
        prints="",
        isolated_only=False,
    ),
    Attack(
        "core dump",
        "import os, resource\nprint(resource.getrlimit(resource.RLIMIT_CORE), flush=True)\nos.abort()",
        prints="(0, 0)\n",
        message="killed by SIGABRT",
        isolated_only=False,
    ),
]


def run(executor: LocalExecutor, attack: Attack, marker: str, stdin: bytes = b"") -> Execution:
    program = Program(attack.language, textwrap.dedent(attack.source), args=(marker,))
    if attack.language == "cpp":  # that takes its own time
        executor._compiler.compile(LANGUAGES["cpp"], program.source.encode(), attack.limits)
    started_s = time.monotonic()
    execution = executor.run(program, stdin, attack.limits, {})
    assert time.monotonic() - started_s < attack.limits.wall_s + stretched(OVERTIME_S)
    return execution


def check(attack: Attack, execution: Execution) -> None:
    assert execution.status in attack.ends, execution
    assert execution.message.startswith(attack.message)
    assert len(execution.stdout) <= attack.limits.output_bytes
    assert len(execution.stderr) <= attack.limits.output_bytes
    if attack.prints is not None:
        assert execution.stdout.decode() == attack.prints, execution.stderr.decode()


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)
def test_attack(isolated: LocalExecutor, attack: Attack, marker: str) -> None:
    check(attack, run(isolated, attack, marker))


@pytest.mark.parametrize("attack", [a for a in ATTACKS if not a.isolated_only], ids=lambda attack: attack.name)
def test_attack_without_isolation(bare: LocalExecutor, attack: Attack, marker: str) -> None:
    check(attack, run(bare, attack, marker))


def test_cpu_limits_below_a_second_are_kept(isolated: LocalExecutor, marker: str) -> None:
    execution = run(isolated, ATTACKS[0], marker)
    assert execution.cpu_measured
    assert BUSY.cpu_s <= execution.time_s < BUSY.cpu_s + 0.15


def test_time_of_all_processes_counts(isolated: LocalExecutor, marker: str) -> None:
    source = "import os, time\npid = os.fork()\nwhile time.process_time() < 0.2: pass\nif pid: os.wait()"
    execution = run(isolated, Attack("", source), marker)
    assert execution.status is Status.FINISHED
    assert 0.35 <= execution.time_s < 0.6  # the child's clock starts at 0, the parent's with its start-up


def test_no_network(isolated: LocalExecutor, marker: str) -> None:
    abstract = f"\0{marker}"
    with socket.create_server(("127.0.0.1", 0)) as tcp, socket.socket(socket.AF_UNIX) as unix:
        unix.bind(abstract)
        unix.listen()
        source = f"""
        import socket
        targets = [(socket.AF_INET, ("127.0.0.1", {tcp.getsockname()[1]})), (socket.AF_UNIX, {abstract!r})]
        targets += [(socket.AF_INET, ("8.8.8.8", 53))]
        for family, address in targets:
            try: socket.socket(family).connect(address); print("connected to", address)
            except OSError: print("failed")
        """
        execution = run(isolated, Attack("", source), marker)
        assert execution.stdout.decode().split() == ["failed"] * 3
        tcp.settimeout(0)
        with pytest.raises(BlockingIOError):
            tcp.accept()


def test_nothing_of_the_parent_is_passed_on(
    isolated: LocalExecutor, marker: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("API_TOKEN", "s3cr3t")
    source = """
    import os
    print(sorted(set(os.environ) - {"PWD"}))
    print(sorted(fd for fd in os.listdir("/proc/self/fd") if os.path.exists(f"/proc/self/fd/{fd}")))
    print(os.getcwd(), os.listdir("."), os.uname().nodename)
    print(os.getpgrp() == os.getpid() or os.getsid(0) == 1)
    """
    with (tmp_path / "open").open("w") as file:
        os.set_inheritable(file.fileno(), True)
        execution = run(isolated, Attack("", source), marker)
    environment, descriptors, place, _ = execution.stdout.decode().splitlines()
    names = "['HOME', 'LANG', 'LC_ALL', 'PATH', 'PYTHONDONTWRITEBYTECODE', 'PYTHONHASHSEED']"
    assert environment == names
    assert descriptors == "['0', '1', '2']"
    assert place.startswith("/box ['main.py']")


def test_programs_do_not_see_each_other(isolated: LocalExecutor, marker: str) -> None:
    """One program hides something everywhere it can, and stays; another one looks for it."""
    hides = "import time\nfor d in ('/tmp', '/box', '/dev/shm'): open(d + '/secret', 'w').write('x')\ntime.sleep(60)"
    seeks = """
    import os
    for folder, _, files in os.walk("/"):
        if folder.startswith(("/usr", "/proc", "/bin", "/lib", "/sbin")): continue
        if "secret" in files: print(folder)
    print(len([name for name in os.listdir("/proc") if name.isdigit()]))
    """
    hider = threading.Thread(target=run, args=(isolated, Attack("", hides, limits=SLEEPY), marker))
    hider.start()
    seeker = run(isolated, Attack("", seeks), marker)
    hider.join()
    assert seeker.stdout == b"2\n"  # the first process of its own, and itself


def test_a_program_cannot_change_its_own_binary(isolated: LocalExecutor, marker: str) -> None:
    source = """
    #include <cstdio>
    #include <fcntl.h>
    #include <sys/stat.h>
    #include <unistd.h>
    int main() {
        printf("%d %d %d %d\\n", open("/program", O_WRONLY), chmod("/program", 0777), unlink("/program"),
               rename("/box", "/tmp/box"));
    }
    """
    attack = Attack("", source, language="cpp")
    first = run(isolated, attack, marker)
    assert first.stdout == b"-1 -1 -1 -1\n"
    assert run(isolated, attack, marker).stdout == first.stdout


def test_input_that_is_not_read(local: LocalExecutor, marker: str) -> None:
    execution = run(local, Attack("", "print('hello')"), marker, stdin=b"x" * 5_000_000)
    assert (execution.status, execution.stdout) == (Status.FINISHED, b"hello\n")


def test_forged_reports_are_not_believed(isolated: LocalExecutor, marker: str) -> None:
    """The way out on which the sandbox reports is not open to the program."""
    source = """
    import os
    for pid in ("1", "self"):
        for fd in range(20):
            try: os.write(os.open(f"/proc/{pid}/fd/{fd}", os.O_WRONLY), b"done 0\\n")
            except OSError: pass
    os._exit(7)
    """
    execution = run(isolated, Attack("", source), marker)
    assert execution.exit_code == 7


def test_the_death_of_the_balancer_is_the_death_of_its_programs(isolated: LocalExecutor, marker: str) -> None:
    code = f"""
from balancer.sandbox.local.languages import LANGUAGES
from balancer.sandbox.local.executor import LocalExecutor
from balancer.program import ExecutorOptions, Limits, Program
executor = LocalExecutor("local://x", ExecutorOptions(isolation={isolated.isolation!r}))
source = "import time; print(1, flush=True); time.sleep(60)"
print(executor._folder.name, flush=True)
executor.run(Program("python", source, args=({marker!r},)), b"", Limits(), {{}})
"""
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        folder = process.stdout.readline().strip()
        wait_until(lambda: len(processes_with(marker)) > 0)
        process.kill()
    wait_until(lambda: not processes_with(marker))
    subprocess.run(["rm", "-rf", folder], check=True)  # nobody was left to do it
