"""Headers that are read once for many programs, and change none of them."""

from contextlib import closing
from dataclasses import replace

import pytest

from balancer.program import Execution, ExecutorOptions, Limits, Program, Status
from balancer.sandbox.languages.table import LANGUAGES
from balancer.sandbox.local import executor
from balancer.sandbox.local.executor import LocalExecutor
from balancer.sandbox.local.headers import PrecompiledHeaders
from balancer.sandbox.local.jail import probe
from tests.needs import CPP

LIMITS = Limits(cpu_s=5.0, wall_s=30.0, compile_s=30.0)
(REAL,) = (each for each in LANGUAGES if each.name == "cpp")
SMALL = replace(REAL, headers=("cassert", "iostream"), pragmatic=())
TELLS = replace(SMALL, compile=(*SMALL.compile, "-H"))  # the compiler tells which headers it reads
PLAIN = "int main() { return 7; }"
FAILS = "int main() { assert(false); }"


@pytest.fixture(autouse=True)
def headers(monkeypatch):
    """Those of one test alone."""
    if reason := probe("bubblewrap"):
        pytest.skip(f"bubblewrap does not work here: {reason}")
    made = PrecompiledHeaders()
    monkeypatch.setattr(executor, "own_headers", lambda: made)
    return made


@pytest.fixture
def small():
    with closing(LocalExecutor("local://small", ExecutorOptions(known={"cpp": SMALL}))) as made:
        yield made


def run(local: LocalExecutor, source: str, extras: tuple[tuple[str, bytes], ...] = ()) -> Execution:
    return local.run(Program("cpp", source, extras=extras), b"", LIMITS, {})


def warm(local: LocalExecutor) -> None:
    for number in range(3):
        assert run(local, f"#include <cassert>\nint main() {{ return {number}; }}").exit_code == number


def read_for(source: str) -> bytes:
    """Return which headers the compiler reads for a program that it refuses."""
    with closing(LocalExecutor("local://tells", ExecutorOptions(known={"cpp": TELLS}))) as telling:
        ended = run(telling, f"{source}\n#error refused")
    assert ended.status is Status.COMPILE_ERROR
    return ended.stderr


@CPP
def test_the_third_program_that_begins_with_a_header_has_it_precompiled():
    source = f"// first\n#include <cassert>\n{PLAIN}"
    read = [read_for(f"{source} // {number}") for number in range(3)]
    assert [b"! /headers/cassert.gch" in each for each in read] == [False, False, True]
    assert b"/headers" not in read_for(PLAIN)
    for before in ('#pragma GCC optimize("O3")', '#pragma GCC target("avx2")', "int before;"):
        assert b"! /headers" not in read_for(f"{before}\n{source}")


@CPP
def test_what_a_program_says_before_a_header_counts(small):
    warm(small)
    assert run(small, f"#include <cassert>\n{FAILS}").exit_code == -6
    assert run(small, f"#define NDEBUG\n#include <cassert>\n{FAILS}").exit_code == 0
    assert run(small, f"#include <cassert>\n#define NDEBUG\n#include <cassert>\n{FAILS}").exit_code == 0
    own = run(small, "#include <cassert>\nint main() { return OWN; }", (("cassert", b"#define OWN 9\n"),))
    assert own.exit_code == 9, "a header of the program itself comes first"
    look = '#include <cassert>\n#include <unistd.h>\nint main() { return access("/headers", F_OK) ? 3 : 4; }'
    assert run(small, look).exit_code == 3, "no program sees the folder"


@CPP
def test_without_isolation_nothing_is_precompiled(headers):
    """There a program of the same user could change what later ones are made of."""
    with closing(LocalExecutor("local://bare", ExecutorOptions(isolation="rlimits", known={"cpp": SMALL}))) as bare:
        warm(bare)
    assert not headers._asked
