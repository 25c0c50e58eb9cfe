"""Java: which class is started, and what becomes of a public class, a package and a program that wants too much."""

import pytest

from balancer.program import Limits, Program, Status
from balancer.sandbox.languages.table import LANGUAGES, java_files
from balancer.sandbox.local.executor import LocalExecutor
from balancer.sandbox.local.toolchain import find_toolchain

_PRINTS = 'System.out.println("ok");'
_MAIN = f"public static void main(String[] args) {{ {_PRINTS} }}"
_SOURCES = {
    "Main": f"public class Main {{ {_MAIN} }}",
    "Solution": f"package a.b;\nimport java.util.*;\npublic final class Solution {{ {_MAIN} }}",
    "Second": f"class First {{ int x; }}\npublic class Second {{ static class Inner {{ }} {_MAIN} }}",
    "Early": f"public class Early {{ {_MAIN} }}\ninterface Late {{ }}",
}


@pytest.mark.parametrize("entry", _SOURCES)
def test_the_class_with_main_is_started_whatever_it_is_called(entry):
    files = java_files(_SOURCES[entry].encode())
    assert files["entry"] == entry.encode()
    assert b"public class" not in files["Main.java"]
    assert b"package" not in files["Main.java"]


def test_a_source_without_main_names_its_first_class():
    assert java_files(b"class A {} class B {}")["entry"] == b"A"
    assert java_files(b"nothing")["entry"] == b"Main"


@pytest.mark.more
@pytest.mark.skipif("java" not in find_toolchain(LANGUAGES).languages, reason="there is no JDK here")
def test_programs_run_within_their_limits():
    executor = LocalExecutor("local://java")
    limits = Limits(cpu_s=10.0, wall_s=60.0, compile_s=120.0, memory_bytes=64 * 2**20)
    try:
        for source in _SOURCES.values():
            ran = executor.run(Program("java", source, "a"), b"", limits, {})
            assert (ran.status, ran.exit_code, ran.stdout) == (Status.FINISHED, 0, b"ok\n"), ran
        hog = "class Hog { public static void main(String[] a) { long[][] x = new long[99][]; "
        hog += "for (int i = 0; i < 99; i++) x[i] = new long[1 << 20]; System.out.println(x.length); } }"
        assert executor.run(Program("java", hog, "a"), b"", limits, {}).status is Status.MEMORY_LIMIT
        wrong = executor.run(Program("java", "class A { int x = ; }", "a"), b"", limits, {})
        assert wrong.status is Status.COMPILE_ERROR
        assert b"illegal start of expression" in wrong.stderr
        loop = "class A { public static void main(String[] a) { while (true) { } } }"
        brief = Limits(cpu_s=0.5, wall_s=60.0, compile_s=120.0)
        assert executor.run(Program("java", loop, "a"), b"", brief, {}).status is Status.TIME_LIMIT
    finally:
        executor.close()
