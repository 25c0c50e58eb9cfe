"""Which headers are precompiled, and when."""

import errno
import os
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
from balancer.sandbox.local.jail import Jail
from balancer.sandbox.local.prepared import IsolatedCommand

CPP = Language("cpp", "main.cpp", ("{program}",), headers=("bits/all.h", "some"), precompile=("g++", "-O2"))
ALL, SOME = b"// by me\n# include <bits/all.h>\n#include <some>\n", b"#include <some>\n#include <bits/all.h>\n"


class Maker:
    """Makes headers, and remembers which."""

    def __init__(self, fails: Exception | None = None) -> None:
        self.made: list[str] = []
        self.fails = fails

    def __call__(self, header: str, file: Path) -> bool:
        self.made.append(header)
        if self.fails is not None:
            raise self.fails
        file.write_bytes(b"made")
        return True


def test_a_header_is_made_once_with_the_third_program_that_begins_with_it():
    headers, maker = PrecompiledHeaders(), Maker()
    others = replace(CPP, precompile=("g++", "-O3"))
    told = [
        [headers.folder(language, sources, maker) is not None for _ in range(4)]
        for language, sources in ((CPP, [ALL]), (others, [SOME, b"x"]), (CPP, [b"#include <other>\n", b"some"]))
    ]
    assert told == [[False, False, True, True], [False, False, True, True], [False] * 4]
    assert maker.made == ["bits/all.h", "some"]
    assert headers.folder(CPP, [SOME], maker) is None, "other flags are apart"


def test_headers_whose_maker_was_stopped_are_due_again_and_others_are_not():
    stopped, full = EndpointError("the executor was closed"), OSError(errno.ENOSPC, "No space left on device")
    for fails, times in ((stopped, 2), (full, 1)):
        headers, maker = PrecompiledHeaders(), Maker(fails)
        for number in range(1, 7):
            if fails is stopped and number % 3 == 0:
                with pytest.raises(EndpointError):
                    headers.folder(CPP, [ALL], maker)
            else:
                assert headers.folder(CPP, [ALL], maker) is None
        assert len(maker.made) == times


def test_the_folder_of_a_header_can_be_read_by_other_users():
    before = os.umask(0o077)
    try:
        headers, maker = PrecompiledHeaders(), Maker()
        shown = [headers.folder(CPP, [ALL], maker) for _ in range(3)][-1]
    finally:
        os.umask(before)
    assert shown is not None
    assert (shown / "bits" / "all.h").read_text() == "#include_next <bits/all.h>\n"
    modes = {str(each.relative_to(shown)): each.stat().st_mode & 0o777 for each in (shown, *shown.rglob("*"))}
    modes.pop("bits/all.h.gch")  # its maker decides
    assert modes == {".": 0o755, "bits": 0o755, "bits/all.h": 0o444}
    assert shown.parent.stat().st_mode & 0o777 == 0o711


class FakeJail:
    """Compiles at once."""

    def __init__(self, base: Path) -> None:
        self.seen: list[IsolatedCommand] = []
        self.of_header = b""  # what a compiler says to a precompiled header
        self.of_source = b""
        (base / "live").mkdir()
        self.compiler = Compiler(cast(Jail, self), live=base / "live", headers=PrecompiledHeaders())

    def run(self, wanted: IsolatedCommand, *, stop: int | None = None) -> ProcessResult:
        self.seen.append(wanted)
        said = self.of_source + (self.of_header if wanted.spec.headers else b"")
        if not said:
            assert wanted.spec.output is not None
            (wanted.spec.output / "main").write_bytes(b"made")
        return ProcessResult(True, int(bool(said)), None, False, b"", said, 0.1, None)

    def compile(self, number: int) -> Compiled:
        language = replace(CPP, compile=("g++",), precompile=("g++", "-x", "c++-header"))
        layout = lay_out(language, Program("cpp", f"#include <some>\n// {number}"))
        return self.compiler.compile(CompileJob(language, layout, Limits()))


def test_headers_that_break_a_compiler_refuse_no_program(tmp_path):
    jail = FakeJail(tmp_path)
    for number in range(3):
        assert jail.compile(number).binary
    assert [bool(each.spec.headers) for each in jail.seen] == [False, False, False, True]
    jail.seen.clear()
    jail.of_header = b"cc1plus: fatal error: had to relocate PCH\n"
    assert jail.compile(3).binary
    jail.of_header, jail.of_source = b"", b"! /headers/some.gch\nmain.cpp:1:2: error: x\n"
    assert jail.compile(4).words == jail.of_source
    assert len(jail.seen) == 3  # only the first one was tried without it, too
