"""Java: which class is started, and what becomes of a public class, a package and a program that wants too much."""

import pytest

from balancer.sandbox.languages.table import java_files

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
