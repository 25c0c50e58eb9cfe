"""Which headers are precompiled, and when."""

import errno
import os
import threading
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest

from balancer.errors import EndpointError
from balancer.program import Language, Limits, Program
from balancer.sandbox.languages.layout import lay_out
from balancer.sandbox.local.command import ProcessResult
from balancer.sandbox.local.compile import Compiled, CompileJob, Compiler
from balancer.sandbox.local.headers import PrecompiledHeaders
from balancer.sandbox.local.isolation.view import HEADERS, Bind, SandboxLayout, SandboxSpec, view_of
from balancer.sandbox.local.jail import Jail
from balancer.sandbox.local.prepared import IsolatedCommand
from tests.patience import PATIENCE_S
from tests.threads.crew import until

CPP = Language("cpp", "main.cpp", ("{program}",), headers=("all.h", "some"), precompile=("g++", "-O2"))
FAR = b"#include <bits/all.h>\n"
ALL, SOME = b"// by me\n# include <all.h>\n#include <some>\n", b"#include <some>\n#include <all.h>\n"


def test_a_header_is_due_once_with_the_third_program_that_begins_with_it():
    headers = PrecompiledHeaders()
    assert [headers.due(CPP, [ALL]) for _ in range(5)] == [None, None, "all.h", None, None]
    assert [headers.due(CPP, [SOME, b"x"]) for _ in range(3)] == [None, None, "some"]


def test_other_headers_and_other_flags_are_apart():
    headers = PrecompiledHeaders()
    assert [headers.due(CPP, [b"#include <other>\n", b"all.h"]) for _ in range(4)] == [None] * 4
    assert [headers.due(CPP, [ALL]) for _ in range(2)] == [None] * 2
    others = replace(CPP, precompile=("g++", "-O3"))
    assert headers.due(others, [ALL]) is None
    assert headers.due(CPP, [ALL]) == "all.h"
    headers.make(CPP, "all.h", writes)
    shown = [headers.folder(each, [text]) for each, text in ((CPP, ALL), (CPP, SOME), (others, ALL))]
    assert [each is not None for each in shown] == [True, False, False]


@pytest.fixture
def umask_of_one_user():
    before = os.umask(0o077)
    yield
    os.umask(before)


def asked(headers: PrecompiledHeaders, times: int = 3) -> list[str | None]:
    return [headers.due(CPP, [ALL]) for _ in range(times)]


def writes(file: Path) -> bool:
    file.write_bytes(b"made")
    return True


def stopped(file: Path) -> bool:
    raise EndpointError("stopped, because the executor was closed")


def full(file: Path) -> bool:
    raise OSError(errno.ENOSPC, "No space left on device")


def test_headers_whose_maker_was_stopped_are_due_again():
    headers = PrecompiledHeaders()
    assert asked(headers)[-1] == "all.h"
    headers.make(CPP, "all.h", stopped)
    assert asked(headers) == ["all.h", None, None]
    assert headers.folder(CPP, [ALL]) is None


@pytest.mark.parametrize("maker", [full, lambda file: False])
def test_a_header_that_cannot_be_made_is_not_due_again(maker):
    headers = PrecompiledHeaders()
    asked(headers)
    headers.make(CPP, "all.h", maker)
    assert asked(headers) == [None] * 3
    assert headers.folder(CPP, [ALL]) is None


def test_a_folder_is_shown_when_it_is_complete(umask_of_one_user):
    headers = PrecompiledHeaders()
    seen: list[Path] = []

    def maker(file: Path) -> bool:
        assert headers.folder(CPP, [FAR]) is None
        seen.append(file)
        return writes(file)

    language = replace(CPP, headers=("bits/all.h", "some"))
    headers.make(language, "bits/all.h", maker)
    shown = headers.folder(language, [FAR])
    assert shown is not None
    assert seen == [shown / "bits" / "all.h.gch"]
    assert (shown / "bits" / "all.h").read_text() == "#include_next <bits/all.h>\n"
    modes = {str(each.relative_to(shown)): each.stat().st_mode & 0o777 for each in (shown, *shown.rglob("*"))}
    modes.pop("bits/all.h.gch")  # its maker decides
    assert modes == {".": 0o755, "bits": 0o755, "bits/all.h": 0o444}
    assert shown.parent.stat().st_mode & 0o777 == 0o711


class FakeJail:
    """Compiles at once; a header when it may, and until then nobody may wait for it."""

    def __init__(self, base: Path) -> None:
        self.seen: list[IsolatedCommand] = []
        self.stops: list[int | None] = []  # of headers
        self.free = threading.Event()
        self.of_header = b""  # what a compiler says to a precompiled header
        self.of_source = b""
        (base / "live").mkdir()
        self.compiler = Compiler(cast(Jail, self), live=base / "live", headers=PrecompiledHeaders())

    def run(self, wanted: IsolatedCommand, *, stop: int | None = None) -> ProcessResult:
        self.seen.append(wanted)
        if "header.h" in wanted.files:
            self.stops.append(stop)
            assert threading.current_thread() is not threading.main_thread(), "a program waits for its header"
            assert self.free.wait(PATIENCE_S)
        said = self.of_source + (self.of_header if wanted.spec.headers else b"")
        if not said:
            assert wanted.spec.output is not None
            (wanted.spec.output / "main").write_bytes(b"made")
        return ProcessResult(True, int(bool(said)), None, False, b"", said, 0.1, None)

    def compile(self, number: int, stop: int | None = None) -> Compiled:
        language = replace(CPP, compile=("g++",), precompile=("g++", "-x", "c++-header"))
        layout = lay_out(language, Program("cpp", f"#include <all.h>\n// {number}"))
        return self.compiler.compile(CompileJob(language, layout, Limits(), stop))

    def with_header(self) -> int:
        return sum(each.spec.headers is not None for each in self.seen)


@pytest.fixture
def jail(tmp_path, still_running):
    made = FakeJail(tmp_path)
    yield made
    made.free.set()
    made.compiler.close()
    assert not still_running("balancer-headers")


def warm(jail: FakeJail) -> None:
    jail.free.set()
    for number in range(3):
        jail.compile(number)
    jail.compiler.close()
    jail.seen.clear()


def test_no_program_waits_for_a_header_or_stops_it(jail):
    reader, writer = os.pipe()
    for number in range(6):
        assert jail.compile(number, reader).binary
    os.close(writer)  # their caller is gone
    until(lambda: bool(jail.stops))
    assert jail.stops == [None]
    assert jail.with_header() == 0
    jail.free.set()
    jail.compiler.close()
    assert jail.compile(6).binary
    assert jail.with_header() == 1
    (header,) = (each for each in jail.seen if "header.h" in each.files)
    assert header.template[:2] == ("nice", "-n")
    assert not header.spec.headers
    os.close(reader)


def test_headers_that_break_a_compiler_refuse_no_program(jail):
    warm(jail)
    jail.of_header = b"cc1plus: fatal error: had to relocate PCH\n"
    assert jail.compile(3).binary
    jail.of_header, jail.of_source = b"", b"! /headers/all.h.gch\nmain.cpp:1:2: error: x\n"
    assert jail.compile(4).words == jail.of_source
    assert len(jail.seen) == 3  # only the first one was tried without it, too


def test_a_compiler_can_only_read_them():
    spec = SandboxSpec(headers=Path("/its"))
    shown = [each for each in view_of(SandboxLayout(Path("/root"), spec)) if each.target == HEADERS]
    assert shown == [Bind("/its", HEADERS, writable=False)]
