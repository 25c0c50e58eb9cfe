"""Headers that are read once for many programs, and change none of them."""

from dataclasses import replace

import pytest

from balancer.program import Execution, ExecutorOptions, Language, Limits, Program, Status
from balancer.sandbox.languages.table import LANGUAGES
from balancer.sandbox.local import executor
from balancer.sandbox.local.executor import LocalExecutor
from balancer.sandbox.local.headers import PrecompiledHeaders
from balancer.sandbox.local.jail import probe
from tests.needs import CPP
from tests.threads.crew import until

LIMITS = Limits(cpu_s=5.0, wall_s=30.0, compile_s=30.0)
(REAL,) = (each for each in LANGUAGES if each.name == "cpp")
SMALL = replace(REAL, headers=("cassert", "iostream"), pragmatic=())
TELLS = replace(SMALL, compile=(*SMALL.compile, "-H"))  # the compiler tells which headers it reads
PLAIN = "int main() { return 7; }"
FAILS = "int main() { assert(false); }"


@pytest.fixture(params=["bubblewrap", "unshare"])
def isolation(request, monkeypatch):
    if reason := probe(request.param):
        pytest.skip(f"isolation {request.param} does not work here: {reason}")
    made = PrecompiledHeaders()  # of this test alone
    monkeypatch.setattr(executor, "own_headers", lambda: made)
    return str(request.param)


@pytest.fixture
def small(isolation):
    made = LocalExecutor("local://small", ExecutorOptions(isolation=isolation, known={"cpp": SMALL}))
    yield made
    made.close()


def run(local: LocalExecutor, source: str, extras: tuple[tuple[str, bytes], ...] = ()) -> Execution:
    return local.run(Program("cpp", source, extras=extras), b"", LIMITS, {})


def ask(local: LocalExecutor) -> None:
    for number in range(3):
        assert run(local, f"#include <cassert>\nint main() {{ return {number}; }}").exit_code == number


def is_made(header: str = "cassert", language: Language = SMALL) -> bool:
    return executor.own_headers().folder(language, [f"#include <{header}>".encode()]) is not None


def warm(local: LocalExecutor) -> None:
    ask(local)
    until(is_made)


def read_by(isolation: str, source: str) -> bytes:
    """Return which headers the compiler reads for a program that it refuses."""
    telling = LocalExecutor("local://tells", ExecutorOptions(isolation=isolation, known={"cpp": TELLS}))
    try:
        ended = run(telling, f"{source}\n#error refused")
    finally:
        telling.close()
    assert ended.status is Status.COMPILE_ERROR
    return ended.stderr


@CPP
def test_the_third_program_that_begins_with_a_header_has_it_precompiled(isolation, small):
    source = f"// first\n#include <cassert>\n{PLAIN}"
    assert b"! /headers" not in read_by(isolation, source)
    warm(small)
    assert b"! /headers/cassert.gch" in read_by(isolation, source)
    assert b"/headers" not in read_by(isolation, PLAIN)


@CPP
def test_what_a_program_says_before_a_header_counts(isolation, small):
    warm(small)
    assert run(small, f"#include <cassert>\n{FAILS}").exit_code == -6
    assert run(small, f"#define NDEBUG\n#include <cassert>\n{FAILS}").exit_code == 0
    assert run(small, f"#include <cassert>\n#define NDEBUG\n#include <cassert>\n{FAILS}").exit_code == 0
    for pragma in ('#pragma GCC optimize("O3")', '#pragma GCC target("avx2")', "int before;"):
        assert b"! /headers" not in read_by(isolation, f"{pragma}\n#include <cassert>\n{PLAIN}")
        assert run(small, f"{pragma}\n#include <cassert>\n{PLAIN}").exit_code == 7


@CPP
def test_a_header_of_the_program_itself_comes_first(small):
    warm(small)
    assert (
        run(small, "#include <cassert>\nint main() { return OWN; }", (("cassert", b"#define OWN 9\n"),)).exit_code == 9
    )


@CPP
def test_no_program_sees_the_folder(small):
    warm(small)
    look = '#include <cassert>\n#include <unistd.h>\nint main() { return access("/headers", F_OK) ? 3 : 4; }'
    assert run(small, look).exit_code == 3


@CPP
def test_without_isolation_nothing_is_precompiled(monkeypatch):
    """There a program of the same user could change what later ones are made of."""
    headers = PrecompiledHeaders()
    monkeypatch.setattr(executor, "own_headers", lambda: headers)
    bare = LocalExecutor("local://bare", ExecutorOptions(isolation="rlimits", known={"cpp": SMALL}))
    try:
        ask(bare)
    finally:
        bare.close()
    assert [headers.due(SMALL, [b"#include <cassert>"]) for _ in range(3)] == [None, None, "cassert"]


@CPP
def test_a_header_is_given_up_when_its_executor_is_closed(isolation, still_running):
    endless = replace(SMALL, precompile=("sleep", "1000"))
    local = LocalExecutor("local://endless", ExecutorOptions(isolation=isolation, known={"cpp": endless}))
    ask(local)
    local.close()
    assert not still_running("balancer-headers")
    assert executor.own_headers().due(endless, [b"#include <cassert>"]) == "cassert"


@pytest.mark.more
@CPP
def test_the_built_in_headers_make_the_same_programs(isolation):
    body = (
        "using namespace std;\nint main() { map<string, int> m; vector<long> v{3, 1}; sort(v.begin(), v.end()); "
        'm["a"]++; cout << v[0] << m["a"] << endl; }'
    )
    for header in REAL.headers:
        further = "" if header.startswith("bits") else "#include <map>\n#include <vector>\n#include <algorithm>\n"
        source = f"#include <{header}>\n{further}#include <bits/stdc++.h>\n{body}"
        local = LocalExecutor("local://real", ExecutorOptions(isolation=isolation))
        made = [run(local, f"{source}// {number}\n") for number in range(3)]
        until(lambda header=header: is_made(header, REAL))
        made.append(run(local, f"{source}// last\n"))
        local.close()
        assert [each.stdout for each in made] == [b"11\n"] * 4
