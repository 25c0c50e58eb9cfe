"""C++ validators run backwards: which can be, and that the validator itself accepts what is drawn."""

import subprocess
from pathlib import Path

import pytest

from balancer.pipeline.generators.drawing.drawer import DrawnInput, read_drawn
from balancer.pipeline.generators.drawing.from_cpp import drawing_program
from balancer.program import Program

# Headers with the interface of their libraries, and no more. They read as the libraries do.
_KODSPORT = """#include <cassert>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>
void run();
struct IntType { long long x; IntType(long long v) : x(v) {} operator long long() const { return x; } };
namespace IO {
void Char(int c) { if (getchar() != c) _Exit(43); }
char Char() { return (char)getchar(); }
IntType Int(long long lo, long long hi) {
    long long x;
    if (scanf("%lld", &x) != 1 || x < lo || x > hi) _Exit(43);
    return x;
}
template <class T> std::vector<T> SpacedInts(long long n, T lo, T hi) {
    std::vector<T> all;
    for (int i = 0; i < n; i++) { if (i) Char(' '); all.push_back((T)Int(lo, hi)); }
    Char('\\n');
    return all;
}
void Space() { Char(' '); }
void Endl() { Char('\\n'); }
}
using namespace IO;
int main() { run(); IO::Char(-1); _Exit(42); }
"""
_TREE = """#include "validator.h"
int top[100001];
int find(int x) { return top[x] ? top[x] = find(top[x]) : x; }
void run() {
    int n = Int(2, 100000);
    Endl();
    for (int i = 1; i < n; i++) {
        int a = Int(1, n);
        Space();
        int b = Int(1, n);
        Space();
        char c = Char();
        assert(c == 'x' || c == '+');
        Endl();
        assert(find(a) != find(b));
        top[find(a)] = find(b);
    }
}
"""


def _validator(source: str, **headers: str) -> Program:
    extras = {f"{name}.h": text.encode() for name, text in headers.items()}
    return Program("cpp", source, "validator", extras=tuple(extras.items()))


@pytest.mark.parametrize(
    "source",
    [
        '#include "validator.h"\nvoid run() { int n; scanf("%d", &n); }',
        '#include "validator.h"\nvoid run() { std::cin >> n; }',
        '#include "validator.h"\nvoid run() { std::string s; getline(std::cin, s); }',
        "void run() { Int(1, 2); }",
    ],
)
def test_a_validator_that_reads_otherwise_cannot_be_run_backwards(source: str) -> None:
    assert drawing_program(_validator(source, validator=_KODSPORT)) is None


def test_a_header_of_no_known_library_is_not_replaced() -> None:
    assert drawing_program(_validator(_TREE, validator="void run();")) is None


def test_the_header_stays_and_its_reads_are_replaced() -> None:
    validator = _validator(_TREE + "// cin\n", validator=_KODSPORT)
    program = drawing_program(validator)
    assert program is not None
    extras = dict(program.extras)
    assert program.source == validator.source
    assert extras["balancer_validator.h"] == _KODSPORT.encode()
    assert b"#define Int drawn_Int" in extras["validator.h"]


def _built(program: Program, folder: Path) -> str:
    folder.mkdir()
    for name, data in program.extras:
        (folder / name).write_bytes(data)
    (folder / "main.cpp").write_text(program.source)
    subprocess.run(["g++", "-O1", "-std=gnu++20", "-I.", "-o", "main", "main.cpp"], cwd=folder, check=True)
    return str(folder / "main")


def _drawn(exe: str, asked: str) -> list[DrawnInput]:
    written = subprocess.run([exe], input=asked.encode(), capture_output=True, check=True).stdout
    return [each for each in read_drawn(written) if each is not None]


@pytest.mark.needs("g++")
@pytest.mark.more
def test_a_validator_accepts_what_was_drawn_from_it(tmp_path: Path) -> None:
    validator = _validator(_TREE, validator=_KODSPORT)
    program = drawing_program(validator)
    assert program is not None
    exe, judge = _built(program, tmp_path / "drawing"), _built(validator, tmp_path / "judge")
    asked = "".join(f"{seed} {size}\n" for size in ("tiny", "small", "medium", "large") for seed in range(4))
    found = _drawn(exe, asked)
    assert len(found) == 16
    for each in found:
        assert subprocess.run([judge], input=each.data).returncode == 42, each.detail
    assert max(int(each.data.split()[0]) for each in found) >= 99999
    assert _drawn(exe, asked.split("\n", 5)[4] + "\n") == found[4:5]  # an input depends on its seed and size alone
