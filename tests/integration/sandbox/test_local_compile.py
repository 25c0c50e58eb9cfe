"""Compiling: once, for everybody, and whatever the source is."""

import os
import re
import shutil
import time
from dataclasses import replace
from pathlib import Path

import pytest

from balancer.program import Execution, ExecutorOptions, Language, Limits, Program, Status
from balancer.sandbox.languages.layout import lay_out
from balancer.sandbox.local.command import ProcessResult, StopReason
from balancer.sandbox.local.compile import digest_of, refusal_of
from balancer.sandbox.local.executor import LocalExecutor
from balancer.sandbox.local.jail import Jail
from balancer.sandbox.local.prepared import IsolatedCommand
from tests.needs import CPP
from tests.patience import stretched
from tests.threads.crew import crew

LIMITS = Limits(cpu_s=10.0, wall_s=100.0, compile_s=60.0)
PRINT = '#include <cstdio>\nint main() {{ puts("{}"); }}'


@pytest.fixture
def jobs(monkeypatch):
    """Every command that is run from now on."""
    seen: list[IsolatedCommand] = []
    run = Jail.run

    def recorded(self: Jail, wanted: IsolatedCommand, *, stop: int | None = None) -> ProcessResult:
        seen.append(wanted)
        return run(self, wanted, stop=stop)

    monkeypatch.setattr(Jail, "run", recorded)
    return seen


def compilations(jobs: list[IsolatedCommand]) -> int:
    """Count those of programs: what earlier tests compiled may have a header precompiled just now."""
    return sum(each.spec.output is not None and "header.h" not in each.files for each in jobs)


def run(executor: LocalExecutor, source: str, limits: Limits = LIMITS) -> Execution:
    return executor.run(Program("cpp", source), b"", limits, {})


@CPP
def test_once_at_a_time_for_all_executors_of_a_folder(tmp_path, jobs):
    """They know of each other only through the folder, as processes do."""
    executors = [LocalExecutor(f"local://{n}", ExecutorOptions(cache_dir=str(tmp_path))) for n in range(3)]
    source = PRINT.format("at a time")
    outputs: list[bytes] = []
    crew(3, lambda number: outputs.append(run(executors[number], source).stdout))
    for executor in executors:
        executor.close()
    assert outputs == [b"at a time\n"] * 3
    assert compilations(jobs) == 1
    (binary,) = (path for path in tmp_path.iterdir() if "lock" not in path.name)
    assert binary.stat().st_mode & 0o777 == 0o555


@CPP
def test_a_folder_on_another_file_system():
    shared = Path(f"/dev/shm/balancer-test-cache-{os.getpid()}")
    shutil.rmtree(shared, ignore_errors=True)
    if not shared.parent.is_dir() or shared.parent.stat().st_dev == Path("/tmp").stat().st_dev:
        pytest.skip("/dev/shm is not a file system of its own here")
    try:
        for number in range(2):
            executor = LocalExecutor(f"local://{number}", ExecutorOptions(cache_dir=str(shared)))
            assert run(executor, PRINT.format("far")).stdout == b"far\n"
            executor.close()
        assert len([path for path in shared.iterdir() if not path.name.startswith("lock-")]) == 1
    finally:
        shutil.rmtree(shared)


def test_all_that_a_compiler_is_told_and_given_is_part_of_the_key(tmp_path):
    language = Language("cpp", "main.cpp", ("{program}",), ("g++", "-O2"), joined=True, extensions=(".cc",))

    def key(source: str = "x", extras: tuple[tuple[str, bytes], ...] = (), kind: Language = language) -> str:
        return digest_of(kind, lay_out(kind, Program("cpp", source, extras=extras)))

    others = [
        key("y"),
        key(kind=replace(language, compile=("g++", "-O0"))),
        key(kind=replace(language, pragmatic=("g++", "-w"))),
        key(kind=replace(language, tools=("sh",))),  # another compiler
        key(extras=(("a.h", b""),)),
        key(extras=(("a.h", b"1"),)),
        key(extras=(("b.h", b"1"),)),
        key(extras=(("a.cc", b"1"),)),
    ]
    assert len({key(), *others}) == 1 + len(others)
    assert key() == key()


@pytest.mark.sampled(1)
@pytest.mark.parametrize(
    "path", ["/etc/passwd", "/root/.bashrc", "/proc/self/environ", "/proc/1/cmdline", "/dev/stdout"]
)
@CPP
def test_nothing_leaks_through_the_compiler(isolated, path, monkeypatch):
    monkeypatch.setenv("API_TOKEN", "s3cr3t")
    execution = run(isolated, f'#include "{path}"\nint main() {{}}')
    # Files of /proc seem empty to the preprocessor; the others are not there, and a compiler waits for none.
    assert not execution.doubtful
    assert execution.status is (Status.FINISHED if path.startswith("/proc") else Status.COMPILE_ERROR)
    assert not any(word in execution.stderr for word in (b"root:", b"s3cr3t", b"balancer", b"alias"))
    assembler = run(isolated, f'asm(".incbin \\"{path}\\"");\nint main() {{ return 0; }}')
    assert assembler.status is (Status.FINISHED if path.startswith("/proc") else Status.COMPILE_ERROR)


BOMBS = {
    "endless file": '#include "/dev/zero"\nint main() {}',
    "endless recursion": '#include "main.cpp"\nint main() {}',
    "template bomb": (
        "template<int n, int m> struct F { static const long v = F<n-1, m>::v ^ F<n-1, m+1>::v; };\n"
        "template<int m> struct F<0, m> { static const long v = m; };\nint main() { return F<800, 0>::v; }"
    ),
    "giant array": "char x[1L << 32] = {1};\nint main() { return x[5]; }",
    "endless messages": (
        "#define A x x x x x x x x\n#define B A A A A A A A A\n#define C B B B B B B B B\nint main() { C C C C }"
    ),
}


@pytest.mark.sampled(2)
@pytest.mark.parametrize("name", BOMBS)
@CPP
def test_compile_bombs_are_bounded(isolated, name):
    execution = run(isolated, BOMBS[name], Limits(compile_s=1.0))
    assert execution.status is Status.COMPILE_ERROR
    assert len(execution.stderr) <= 2**14 + 16  # the last character may have been cut


_OLD = {"-std=gnu++17": 'const char *one = u8"1";', "-std=gnu++14": 'bool b; void f() { b++; } const char *one = "1";'}


@CPP
@pytest.mark.parametrize("standard", _OLD)
def test_a_program_of_an_older_standard_is_compiled_by_it(isolated, standard):
    """C++20 gave UTF-8 texts a type of their own; C++17 took `++` from bool."""
    source = f"#include <cstdio>\n{_OLD[standard]}\nint main() {{ printf(one); }}"
    first, second = (run(isolated, f"{source} // {isolated.isolation}") for _ in range(2))
    assert (first.status, first.stdout, first.standard) == (Status.FINISHED, b"1", standard)
    assert (second.stdout, second.standard) == (b"1", ""), "it is said once"


@CPP
def test_a_compiler_out_of_cpu_time_says_so_and_is_not_remembered(isolated, jobs):
    """The time-out says how fast the machine is: with more time, or another day, it may well be compiled."""
    limits = Limits(compile_s=0.3)
    source = BOMBS["template bomb"] + f"// {isolated.isolation}"
    for number in (1, 2):
        execution = run(isolated, source, limits)
        assert (execution.status, execution.doubtful) == (Status.COMPILE_ERROR, False)
        assert re.match(r"the compiler took too long: \d\.\d s of CPU time, and 0\.3 s are allowed", execution.message)
        assert execution.compile_s >= 0.3 / (os.cpu_count() or 1)
        assert compilations(jobs) == number


@CPP
def test_who_waits_for_a_compile_that_is_given_up_hears_of_it_at_once(isolated):
    """Nobody tries the same again for as long, one after the other."""
    limits = Limits(compile_s=0.5)
    source = BOMBS["template bomb"] + f"// all of {isolated.isolation}"
    ends: list[Execution] = []
    began_s = time.monotonic()
    crew(4, lambda number: ends.append(run(isolated, source, limits)))
    assert [each.status for each in ends] == [Status.COMPILE_ERROR] * 4
    assert time.monotonic() - began_s < stretched(2.0)


@pytest.mark.parametrize(
    ("words", "message", "doubtful", "lasting"),
    [
        ("cc1plus: out of memory allocating 65536 bytes", "the compiler ran out of memory", False, True),
        ("virtual memory exhausted: Cannot allocate memory", "the compiler ran out of memory", False, True),
        ("g++: fatal error: Killed signal terminated program cc1plus", "the compiler was killed", True, False),
        ("main.cpp:1: error: 'x' was not declared", "", False, True),
    ],
)
def test_what_a_compiler_died_of(words, message, doubtful, lasting):
    ended = ProcessResult(True, 1, None, False, b"", words.encode(), 0.1, None)
    compiled = refusal_of(ended, LIMITS)
    assert (compiled.doubtful, compiled.lasting, compiled.words) == (doubtful, lasting, words.encode())
    assert compiled.message.startswith(message)
    assert bool(compiled.message) is bool(message)


def test_a_compiler_that_a_busy_machine_stopped_proves_nothing():
    compiled = refusal_of(ProcessResult(True, None, StopReason.WALL, False, b"", b"", 0.1, None), LIMITS)
    assert (compiled.doubtful, compiled.lasting) == (True, False)
    assert compiled.message.startswith(f"the compiler was stopped after {LIMITS.compile_wall_s:g} s; it used 0.1 s")


@pytest.mark.more
@CPP
def test_what_forgets_a_header_compiles_all_the_same(isolated):
    """Old compilers had it in another header; validators of real packages rely on that."""
    source = 'int main() { std::array<int, 1> a{7}; printf("%d", a[0]); }'
    assert run(isolated, source).stdout == b"7"
    refused = run(isolated, "#warning plain\nint main() { return undeclared; }")
    assert b"#warning plain" in refused.stderr  # the words of the plain command, which has no -w


def test_what_a_compiler_writes_is_bounded_and_only_the_program_comes_out(isolated):
    """A build is a program like any other: it may not fill the disk, or put more there than its one file."""
    build = (
        "#!/bin/sh\n"
        "for n in 1 2 3; do dd if=/dev/zero of=/output/$n bs=1M count=200 || full=yes; done\n"
        '[ -n "$full" ] || exit 1\n'
        "rm -f /output/*\n"
    )
    run = "#!/bin/sh\necho built; ls /output /made\n"
    files = (("build", build.encode()), ("run", run.encode()))
    done = isolated.run(Program("folder", "", extras=files), b"", LIMITS, {})
    assert (done.status, done.stdout) == (Status.FINISHED, b"built\n"), done


@pytest.mark.parametrize(
    "trick",
    [
        "rm -f run; exit 0",
        'trap "rm -f /output/main; ln -s /usr/bin/env /output/main" EXIT',
        'trap "rm -f /output/main; mkfifo /output/main" EXIT',
        'trap "chmod 0 /output/main" EXIT',
    ],
)
def test_a_build_that_makes_nothing_is_refused(isolated, trick):
    files = (("build", f"#!/bin/sh\n{trick}\n".encode()), ("run", b"#!/bin/sh\necho ran\n"))
    done = isolated.run(Program("folder", "", extras=files), b"", LIMITS, {})
    assert done.status in (Status.COMPILE_ERROR, Status.FINISHED)
    assert done.status is Status.COMPILE_ERROR or done.stdout == b"ran\n"
