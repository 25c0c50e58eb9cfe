"""Which headers are precompiled, and when."""

from dataclasses import replace
from pathlib import Path

from balancer.language import Language
from balancer.sandbox.local.headers import PrecompiledHeaders
from balancer.sandbox.local.isolation.view import HEADERS, Bind, SandboxLayout, SandboxSpec, view_of

CPP = Language("cpp", "main.cpp", ("{program}",), headers=("all.h", "some"), precompile=("g++", "-O2"))
ALL, SOME = b"// by me\n# include <all.h>\n#include <some>\n", b"#include <some>\n#include <all.h>\n"


def test_a_header_is_due_once_with_the_third_program_that_begins_with_it() -> None:
    headers = PrecompiledHeaders()
    assert [headers.due(CPP, [ALL]) for _ in range(5)] == [None, None, "all.h", None, None]
    assert [headers.due(CPP, [SOME, b"x"]) for _ in range(3)] == [None, None, "some"]


def test_other_headers_and_other_flags_count_apart() -> None:
    headers = PrecompiledHeaders()
    assert [headers.due(CPP, [b"#include <other>\n", b"all.h"]) for _ in range(4)] == [None] * 4
    assert [headers.due(CPP, [ALL]) for _ in range(2)] == [None] * 2
    assert headers.due(replace(CPP, precompile=("g++", "-O3")), [ALL]) is None
    assert headers.due(CPP, [ALL]) == "all.h"


def test_what_was_given_up_is_due_again() -> None:
    headers = PrecompiledHeaders()
    for _ in range(3):
        due = headers.due(CPP, [ALL])
    assert due == "all.h"
    headers.give_up(CPP, "all.h")
    assert headers.due(CPP, [ALL]) == "all.h"


def test_a_place_can_be_asked_for_twice() -> None:
    headers = PrecompiledHeaders()
    assert headers.folder(CPP) is None
    file = headers.place(CPP, "bits/all.h")
    assert headers.place(CPP, "bits/all.h") == file
    assert file.name == "all.h.gch"
    assert file.with_name("all.h").read_text() == "#include_next <bits/all.h>\n"
    assert headers.folder(CPP) == file.parent.parent


def test_a_compiler_can_only_read_them() -> None:
    spec = SandboxSpec(headers=Path("/its"))
    shown = [each for each in view_of(SandboxLayout(Path("/root"), Path("/sh"), spec)) if each.target == HEADERS]
    assert shown == [Bind("/its", HEADERS, writable=False)]
