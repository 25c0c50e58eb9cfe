"""Programs that mean harm, in every isolation: none gets anywhere, each ends in time, nothing of any is left."""

import contextlib
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from balancer.program import ExecutorOptions, Limits, Program, Status
from balancer.sandbox.local import jail
from balancer.sandbox.local.cgroups import CgroupFolder, Cgroups, _works
from balancer.sandbox.local.executor import LocalExecutor
from tests.integration.sandbox.attacks import ATTACKS, IN_PART, Attack, faults_of, in_force, run
from tests.integration.sandbox.processes import processes_with, wait_until
from tests.needs import CPP
from tests.patience import stretched


def _marks(where: str, attack: Attack) -> tuple[pytest.MarkDecorator, ...]:
    return (*([CPP] if attack.language == "cpp" else []), *([pytest.mark.more] if where == "rlimits" else []))


@pytest.mark.sampled(24)
@pytest.mark.parametrize(
    ("sandbox", "attack"),
    [
        pytest.param(isolation, attack, id=f"{isolation}-{attack.name}", marks=_marks(isolation, attack))
        for isolation in ("bubblewrap", "unshare", "rlimits")
        for attack in ATTACKS
        if isolation in attack.on and not (isolation == "unshare" and "calls" in attack.needs)
    ],
    indirect=["sandbox"],
)
def test_attack(sandbox, attack, marker):
    """None is unjudged: `run` would raise. What else each gets, the tables say."""
    if missing := attack.needs - in_force(sandbox):
        pytest.skip(f"this machine has no {', '.join(sorted(missing))}")
    assert not faults_of(attack, run(sandbox, attack, marker))


@pytest.mark.more
@pytest.mark.parametrize(
    ("off", "attack"),
    [pytest.param(off, a, id=f"{off}-{a.name}", marks=_marks(off, a)) for off, some in IN_PART.items() for a in some],
)
def test_attack_where_a_protection_cannot_be_had(lesser, off, attack, marker):
    """What is left out here, docs/sandbox.md withdraws for such machines."""
    executor = lesser(off)
    if missing := attack.needs - in_force(executor):
        pytest.skip(f"this machine has no {', '.join(sorted(missing))} either")
    assert not faults_of(attack, run(executor, attack, marker))


def test_time_of_all_processes_counts(isolated, marker):
    source = "import os, time\npid = os.fork()\nwhile time.process_time() < 0.2: pass\nif pid: os.wait()"
    execution = run(isolated, Attack("", source), marker)
    assert execution.status is Status.FINISHED
    assert 0.35 <= execution.time_s < 0.75  # the child's clock starts at 0, the parent's with its start-up


def test_no_network(isolated, marker):
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


def test_nothing_of_the_parent_is_passed_on(isolated, marker, monkeypatch, tmp_path):
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


def test_the_death_of_the_balancer_is_the_death_of_its_programs(isolated, marker):
    code = f"""
from balancer.sandbox.local.executor import LocalExecutor
from balancer.program import ExecutorOptions, Limits, Program
executor = LocalExecutor("local://x", ExecutorOptions(isolation={isolated.isolation!r}))
source = "import time; print(1, flush=True); time.sleep(60)"
print(executor._folder.path, flush=True)
executor.run(Program("python", source, args=({marker!r},)), b"", Limits(), {{}})
"""
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        folder = process.stdout.readline().strip()
        wait_until(lambda: len(processes_with(marker)) > 0)
        process.kill()
    wait_until(lambda: not processes_with(marker))
    subprocess.run(["rm", "-rf", folder], check=True)  # nobody was left to do it


@pytest.mark.needs("bwrap")
def test_version_2_of_control_groups_counts_what_nobody_waits_for(monkeypatch):
    """On the kernel's own files, where its hierarchy is mounted beside those of version 1."""
    mounts = (line.split() for line in Path("/proc/self/mountinfo").read_text().splitlines())
    place = next((CgroupFolder(Path(fields[4]), 2) for fields in mounts if "cgroup2" in fields), None)
    if place is None or not _works(place):
        pytest.skip("no group of version 2 can be made here")
    groups = Cgroups({"cpuacct": place})
    monkeypatch.setattr(jail, "own_cgroups", lambda: groups)
    burns = "\n".join(
        (
            "import os, signal, time",
            "signal.signal(signal.SIGCHLD, signal.SIG_IGN)",
            "while True:",
            "    if os.fork() == 0:",
            "        sum(range(200000))",
            "        os._exit(0)",
            "    time.sleep(0.004)",
        )
    )
    with contextlib.closing(LocalExecutor("local://second", ExecutorOptions(isolation="bubblewrap"))) as executor:
        for _ in range(2):  # the second in a sandbox that waited
            done = executor.run(Program("python", burns), b"", Limits(cpu_s=0.3, wall_s=stretched(20)), {})
            assert (done.status, done.cpu_measured) == (Status.TIME_LIMIT, True)
            assert 0.3 <= done.time_s < 0.3 + stretched(0.5)
    assert not list(place.folder.glob(f"{groups._prefix}*"))
