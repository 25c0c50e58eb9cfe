"""What goes into a program that takes many inputs, and what is believed of what comes out."""

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from balancer.pipeline.packages.grammars import checktestdata_program
from balancer.pipeline.round.comparer import BatchedInput, SampleComparer, outcomes, records, taking_many
from balancer.program import EACH_INPUT, Execution, Limits, Program, Status

TWO = b"0 1500 0 3\nab\n1536 20 0 0\n"


def test_an_end_is_read_from_its_wait_status() -> None:
    first, second = outcomes(TWO)
    assert (first.status, first.stdout, first.exit_code) == (Status.FINISHED, b"ab\n", 0)
    assert (first.time_s, first.cpu_measured) == (0.0015, True)
    assert (second.exit_code, second.stdout) == (6, b"")


@pytest.mark.parametrize(
    ("status", "cut", "expected"),
    [
        (0, 0, (Status.FINISHED, 0)),
        (42 << 8, 0, (Status.FINISHED, 42)),
        (11, 0, (Status.FINISHED, -11)),
        (11 | 128, 0, (Status.FINISHED, -11)),
        (27, 0, (Status.TIME_LIMIT, None)),
        (14, 0, (Status.TIME_LIMIT, None)),
        (0, 1, (Status.OUTPUT_LIMIT, 0)),
    ],
)
def test_every_way_to_end_has_its_status(status: int, cut: int, expected: tuple[Status, int | None]) -> None:
    (found,) = outcomes(b"%d 10 %d 0\n" % (status, cut))
    assert (found.status, found.exit_code) == expected


@given(st.integers(0, len(TWO)))
def test_what_is_cut_off_is_missing_and_nothing_is_made_of_it(length: int) -> None:
    assert list(outcomes(TWO[:length])) == list(outcomes(TWO))[: (length >= 14) + (length == len(TWO))]


@given(st.binary(max_size=100))
def test_whatever_a_program_prints_ends_in_peace(printed: bytes) -> None:
    for found in outcomes(printed):
        assert found.stdout in printed


@given(st.binary(max_size=60))
def test_what_follows_a_record_changes_nothing_of_it(printed: bytes) -> None:
    assert list(outcomes(TWO + b"x" + printed)) == list(outcomes(TWO))


def test_records_hold_inputs_byte_for_byte() -> None:
    made = records([BatchedInput(b"1\n2\n"), BatchedInput(b"", b"in", b"")], 0.25)
    assert made == b"250000 65536 3 0 60000000\n" + b"4 -1 -1\n1\n2\n" + b"0 2 0\nin"


def test_what_has_no_front_is_left_as_it_is() -> None:
    assert taking_many(Program("java", "class A {}")) is None


def test_a_program_that_takes_many_keeps_its_arguments_and_files() -> None:
    program = Program("cpp", "int main() {}", "a.cpp", ("x",), (("a.h", b""),))
    made = taking_many(program)
    assert made is not None
    assert made.source.endswith("\n#line 1\nint main() {}")
    assert (made.language, made.name, made.args, made.extras) == (program.language, "a.cpp", ("x",), (("a.h", b""),))


def test_the_first_header_of_a_program_stays_first() -> None:
    """Else no precompiled one can be used."""
    made = taking_many(Program("cpp", "// by me\n/* *//* x */ \n#include <all.h>\n#include <b>\nint main() {}"))
    assert made is not None
    assert made.source.startswith("#include <all.h>\n/* Fork")
    assert made.source.endswith("\n#line 1\n// by me\n/* *//* x */ \n#include <all.h>\n#include <b>\nint main() {}")
    for other in ("#define A\n#include <all.h>\n", '#include "own.h"\n', "/* " * 30_000, "/**/" * 30_000):
        kept = taking_many(Program("cpp", other))
        assert kept is not None
        assert kept.source.startswith("/* Fork")


def run_on_many(program: Program, inputs: list[bytes], folder: Path) -> list[Execution]:
    many = taking_many(program)
    assert many is not None
    (folder / "main.py").write_text(many.source)
    fed = records([BatchedInput(data) for data in inputs], 10.0, told=True)
    ran = subprocess.run([sys.executable, "main.py"], cwd=folder, input=fed, capture_output=True, check=False)
    return list(outcomes(ran.stdout))


def test_what_does_not_depend_on_the_input_is_done_once(tmp_path: Path) -> None:
    source = f"import os\nonce = os.getpid()\n{EACH_INPUT}\nimport os\nprint(once, os.getpid(), input())"
    found = [ended.stdout.split() for ended in run_on_many(Program("python", source), [b"a\n", b"b\n"], tmp_path)]
    assert [each[2] for each in found] == [b"a", b"b"]
    assert found[0][0] == found[1][0]
    assert len({pid for each in found for pid in each[:2]}) == 3


def test_a_part_for_all_inputs_that_fails_fails_for_each(tmp_path: Path) -> None:
    ended = run_on_many(Program("python", f"1 / 0\n{EACH_INPUT}\nprint(input())"), [b"a\n", b"b\n"], tmp_path)
    assert [each.exit_code for each in ended] == [1, 1]


@pytest.mark.parametrize(("grammar", "codes"), [(b"INT(1, 5) NEWLINE", [42, 43, 42]), (b"INT(1,", [2, 2, 2])])
def test_a_grammar_checks_many_inputs(grammar: bytes, codes: list[int], tmp_path: Path) -> None:
    ended = run_on_many(checktestdata_program("v.ctd", grammar), [b"3\n", b"7\n", b"5\n"], tmp_path)
    assert [each.exit_code for each in ended] == codes


def test_what_validators_said_of_a_small_input_is_remembered_until_there_are_others() -> None:
    ran: list[tuple[str, bytes]] = []

    def run(wanted: Any) -> Any:
        ran.append((wanted.program.name, wanted.stdin))
        failed = wanted.stdin == b"lost"
        code = 42 if wanted.stdin < b"5" else 43
        return SimpleNamespace(execution=None if failed else Execution(Status.FINISHED, exit_code=code))

    sample: Any = SimpleNamespace(
        limits=Limits(),
        problem=SimpleNamespace(id="p"),
        late=False,
        settings=SimpleNamespace(solution_validation_workers=1),
        in_threads=lambda workers, act, items: [act(item) for item in items],
        runner=SimpleNamespace(run=run),
        validators=SimpleNamespace(
            programs=lambda: [Program("java", "", "one")], says=lambda _, ended: ended.exit_code == 42
        ),
    )
    comparer = SampleComparer(sample)
    large = b"1" * 5000
    assert comparer.valid([b"1", b"9", b"1", b"lost", large]) == [True, False, True, None, True]
    assert comparer.valid([b"9", b"1", b"lost", large]) == [False, True, None, True]
    assert [data for _, data in ran] == [b"1", b"9", b"lost", large, b"lost", large]
    sample.validators.programs = lambda: [Program("java", "", "two")]
    assert comparer.valid([b"1"]) == [True]
    assert ran[-1] == ("two", b"1")
