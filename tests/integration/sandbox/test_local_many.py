"""Many inputs in one run, with real programs: the same comes of each as when it is run alone."""

import pytest

from balancer.pipeline.round.comparer import BatchedInput, outcomes, records, taking_many
from balancer.program import Execution, Limits, Program, Status
from balancer.sandbox.local.executor import LocalExecutor
from tests.needs import CPP

INPUTS = [b"%d %d\n" % (a, b) for a, b in [(1, 2), (7, 0), (8, 1), (9, 9), (6, 3), (5, 5), (0, 0), (4, 12)]]

IN_CPP = """
#include <bits/stdc++.h>
using namespace std;
#define int long long
int read_[10], dup3_, seen;
struct Early { Early() { seen = 40; } } early;
signed main(signed argc, char **argv) {
    ios::sync_with_stdio(false); cin.tie(nullptr);
    int a, b; cin >> a >> b;
    if (a == 7) abort();
    if (a == 9) return 3;
    if (a == 6) exit(5);
    if (a == 5) { volatile int *p = nullptr; *p = 1; }
    seen += 2;
    vector<int> v(1000, b); cout << accumulate(v.begin(), v.end(), a) << ' ' << seen << ' ' << argc << '\\n';
}
"""

PYTHON = """
from __future__ import annotations
import sys, threading
from dataclasses import dataclass
seen = 40
@dataclass
class Pair:
    a: int
    b: int
def main():
    global seen
    pair = Pair(*map(int, sys.stdin.readline().split()))
    seen += 2
    if pair.a == 7: raise ValueError
    if pair.a == 4:
        thread = threading.Timer(0.05, lambda: print("late"))
        thread.start()
    if pair.a == 9: sys.exit(3)
    if pair.a == 6: sys.exit("words")
    if pair.a == 5: print("half", end="")
    print(pair.a + 1000 * pair.b, seen, len(sys.argv))
if __name__ == "__main__":
    main()
"""


def many(
    executor: LocalExecutor, program: Program, inputs: list[BatchedInput], cpu_s: float = 1.0, all_s: float = 60.0
) -> list[Execution]:
    wrapped = taking_many(program)
    assert wrapped is not None
    limits = Limits(cpu_s=20.0, wall_s=40.0)
    return list(outcomes(executor.run(wrapped, records(inputs, cpu_s, all_s=all_s), limits, {}).stdout))


def shown(executions: list[Execution]) -> list[tuple[Status, int | None, bytes]]:
    return [(each.status, each.exit_code, each.stdout) for each in executions]


@pytest.mark.sampled(1)
@pytest.mark.parametrize(("language", "source"), [pytest.param("cpp", IN_CPP, marks=CPP), ("python", PYTHON)])
def test_each_input_ends_as_it_does_alone(local: LocalExecutor, language: str, source: str) -> None:
    program = Program(language, source, args=("one", "two"))
    alone = [local.run(program, data, Limits(cpu_s=1.0), {}) for data in INPUTS]
    assert shown(many(local, program, [BatchedInput(data) for data in INPUTS])) == shown(alone)
    assert len({each.exit_code for each in alone}) >= 3  # the programs do end in many ways


@pytest.mark.parametrize(
    ("language", "source"),
    [
        pytest.param(
            "cpp",
            '#include <cstdio>\nint main() { volatile int n; scanf("%d", &n); while (n) n += 2; puts("end"); }',
            marks=CPP,
        ),
        ("python", "n = int(input())\nwhile n: n += 2 * (abs(n) < 9)\nprint('end')"),
    ],
)
def test_time_runs_out_for_one_input_and_not_for_the_next(bare: LocalExecutor, language: str, source: str) -> None:
    inputs = [BatchedInput(b"0\n"), BatchedInput(b"1\n"), BatchedInput(b"0\n")]
    first, second, third = many(bare, Program(language, source), inputs, 0.1)
    assert (first.stdout, third.stdout) == (b"end\n", b"end\n")
    assert second.status is Status.TIME_LIMIT
    assert 0.05 <= second.time_s < 1.0


@pytest.mark.parametrize(
    "source",
    [
        "import sys\nbefore = 'fractions' in sys.modules\nimport fractions\nprint(before)",
        "import sys\nbefore = 'fractions' in sys.modules\nfrom fractions import Fraction as F\nprint(before)",
    ],
)
def test_what_a_program_imports_is_imported_once_for_all_inputs(bare: LocalExecutor, source: str) -> None:
    ended = many(bare, Program("python", source), [BatchedInput(b"")] * 2)
    assert [each.stdout for each in ended] == [b"True\n"] * 2


@pytest.mark.parametrize(
    ("source", "ends"),
    [
        ("print(1", (1, b"")),
        ("print(0)\nimport no_such_module_1", (1, b"0\n")),
        ("print(0)\nfrom .main import x", (1, b"0\n")),
        ("import random\nprint(0)\nrandom.nothing", (1, b"0\n")),
        ("import sys\nsys.stdout.write('0')\nimport this", (0, None)),
    ],
    ids=str,
)
def test_a_program_that_cannot_be_prepared_ends_as_it_does_alone(
    bare: LocalExecutor, source: str, ends: tuple[int, bytes | None]
) -> None:
    program = Program("python", source)
    for ended in many(bare, program, [BatchedInput(b"")] * 2):
        assert ended.exit_code == bare.run(program, b"", Limits(), {}).exit_code == ends[0]
        assert ends[1] in (None, ended.stdout)


BURNS = {
    "cpp": "#include <ctime>\nint main() { while (clock() < CLOCKS_PER_SEC / 20) {} }",
    "python": "import time\nwhile time.process_time() < 0.05: pass",
}


@pytest.mark.parametrize("language", [pytest.param("cpp", marks=CPP), "python"])
def test_a_run_on_many_inputs_ends_when_its_time_is_used(bare: LocalExecutor, language: str) -> None:
    """A search waited 27 s for one slow program and 125 inputs."""
    ended = many(bare, Program(language, BURNS[language]), [BatchedInput(b"")] * 20, all_s=0.2)
    assert 1 <= len(ended) <= 5, "0.05 s for each"


@CPP
def test_after_three_inputs_without_an_end_the_rest_is_left(bare: LocalExecutor) -> None:
    program = Program("cpp", "int main() { for (volatile int i = 0;; i++); }")
    assert len(many(bare, program, [BatchedInput(b"")] * 20, 0.05)) == 3


def test_a_sleeper_is_woken(bare: LocalExecutor) -> None:
    program = Program("python", "import time\ntime.sleep(1000)")
    (found,) = many(bare, program, [BatchedInput(b"")], 0.05)
    assert (found.status, found.cpu_measured) == (Status.TIME_LIMIT, False)


def test_a_flood_is_cut(bare: LocalExecutor) -> None:
    flood, quiet = many(
        bare, Program("python", "print('x' * int(input()))"), [BatchedInput(b"9000000\n"), BatchedInput(b"2\n")]
    )
    assert (flood.status, len(flood.stdout)) == (Status.OUTPUT_LIMIT, 2**16)
    assert quiet.stdout == b"xx\n"


CHECKER_CPP = """
#include <fstream>
#include <iostream>
#include <string>
int main(int, char **argv) {
    std::ifstream in(argv[1]), answer(argv[2]);
    std::string a, b, c;
    in >> a; answer >> b; std::cin >> c;
    std::ofstream(std::string(argv[3]) + "judgemessage.txt") << "seen";
    return a + b == c ? 42 : 43;
}
"""
CHECKER_PYTHON = """
import sys
a, b = open(sys.argv[1]).read().strip(), open(sys.argv[2]).read().strip()
sys.exit(42 if a + b == sys.stdin.read().strip() else 43)
"""


@pytest.mark.parametrize(
    ("language", "source"), [pytest.param("cpp", CHECKER_CPP, marks=CPP), ("python", CHECKER_PYTHON)]
)
def test_an_output_validator_finds_the_files_of_each_input(local: LocalExecutor, language: str, source: str) -> None:
    program = Program(language, source, args=("input.txt", "answer.txt", "feedback/"))
    wrapped = taking_many(program)
    assert wrapped is not None
    fed = [
        BatchedInput(b"ab", b"a", b"b"),
        BatchedInput(b"ab", b"longer", b"b"),
        BatchedInput(b"", b"", b""),
        BatchedInput(b"xyz", b"xy", b"z"),
    ]
    beside = {"input.txt": b"", "answer.txt": b"", "feedback/.keep": b""}
    ran = local.run(wrapped, records(fed, 1.0), Limits(), beside)
    assert [each.exit_code for each in outcomes(ran.stdout)] == [42, 43, 42, 42]


@pytest.mark.parametrize(
    "source",
    [
        "import os\nos.kill(os.getppid(), 9)",
        "import os\nos.kill(0, 9)",
        "import os\nfor each in range(20):\n    try: os.close(each)\n    except OSError: pass",
        "import os\nwhile True: os.fork()",
        "print('0 0 0 0\\n' * 100)",
        "this is no program",
    ],
)
def test_a_hostile_program_spoils_its_own_run_at_most(isolated: LocalExecutor, source: str) -> None:
    found = many(isolated, Program("python", source), [BatchedInput(b"1\n")] * 5, 0.2)
    assert len(found) <= 5
    assert isolated.run(Program("python", "print(input())"), b"fine\n", Limits(), {}).stdout == b"fine\n"


@pytest.mark.parametrize(
    ("language", "source"),
    [
        pytest.param("cpp", '#include <iostream>\nint main() { std::cerr << "why"; return 43; }', marks=CPP),
        ("python", 'import sys\nprint("why", end="", file=sys.stderr)\nsys.exit(43)'),
    ],
)
def test_what_is_said_on_standard_error_is_kept_if_asked_for(local: LocalExecutor, language: str, source: str) -> None:
    wrapped = taking_many(Program(language, source))
    assert wrapped is not None
    limits = Limits(cpu_s=20.0, wall_s=40.0)
    for told, words in ((True, b"why"), (False, b"")):
        asked = records([BatchedInput(b""), BatchedInput(b"1")], 1.0, told=told)
        found = list(outcomes(local.run(wrapped, asked, limits, {}).stdout))
        assert shown(found) == [(Status.FINISHED, 43, words)] * 2
