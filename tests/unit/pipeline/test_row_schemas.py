"""Rows in the schemas of data sets: each has a small row of its own in `rows/`, with the columns of its data set."""

import base64
import json
import math
import pickle
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from balancer.errors import PackageError
from balancer.judge import CallCase, cases_of
from balancer.pipeline.rows.raw import raw_rows
from balancer.pipeline.rows.read import BadRow, read_rows
from balancer.problem import Problem
from balancer.rows.schemas import SCHEMAS, problem_of, schema_of
from balancer.settings.pipeline import RowSettings

ROWS = {path.stem: json.loads(path.read_text()) for path in sorted((Path(__file__).parent / "rows").glob("*.json"))}
_ASSERTS = "not used: test (1 of its 2 asserts: no calls with plain values)"
_RIGHT = [{"language": "python", "source": "print(2 * int(input()))"}]


def _read(folder: Path, row: Mapping[str, Any]) -> Problem | BadRow:
    place = folder / "rows.jsonl"
    place.write_text(json.dumps(row) + "\n")
    ((_, read),) = read_rows(str(place), RowSettings(right="all", wrong="all"), {"python", "cpp"})
    return read


@pytest.mark.parametrize(
    ("name", "id_", "tests", "programs", "notes"),
    [
        ("apps", "7", "private private", "python", ""),
        ("taco", "Twice", "private", "python", ""),
        ("live-code-bench", "abc000_a", "public private", "", ""),
        ("hard-tests", "codeforces_1_a", "public", "python", ""),
        ("codeforces", "1/A", "public private", "", ""),
        ("codeforces-cots", "1/A", "public private", "cpp python python2", ""),
        ("code-contests-plus", "1_A", "private", "python cpp rust python2", ""),
        ("code-contests-o", "1_A. Twice", "private", "", ""),
        ("verl", "taco-train-3", "private private", "", ""),
        ("eurus", "apps-validation-7", "private", "", ""),
        ("deep-coder", "row-0", "private private", "", ""),
        ("synthetic", "vcp_1", "private", "python", "not used: llm_response"),
        ("verifiable-problems", "vcp_2", "private", "cpp", ""),
        ("kod-code", "Prefill_1", "private", "python", _ASSERTS),
        ("human-eval", "HumanEval/0", "private", "python", _ASSERTS),
        ("leet-code", "twice", "private", "python", f"not used: response; {_ASSERTS}"),
        ("mbpp", "11", "private", "python", ""),
        ("code-contests", "1_A. Twice", "public generated", "python cpp python", ""),
        ("plain", "twice", "public", "python cpp", ""),
    ],
)
def test_a_row_of_each_schema_is_read(name, id_, tests, programs, notes, tmp_path):
    row = ROWS[name]
    found = problem_of(row)
    assert " ".join(test.kind for test in found.tests) == tests
    texts = {("1\n", "2\n"), ("5\n", "10\n"), ("5\n", "10"), ("1\n0\n", "2\n")}
    assert {(test.input, test.output) for test in found.tests} <= texts
    assert " ".join(one.language for one in (*found.right, *found.wrong)) == programs
    assert "; ".join(found.notes) == notes
    assert [isinstance(each, CallCase) for each in cases_of(row)] == [bool(test.function) for test in found.tests]
    assert "Print 2n." in found.statement
    if not programs:
        assert "it has no right solution; add a column right: [{language, source}]" in str(_read(tmp_path, row))
        row = {**row, "right": _RIGHT, "wrong": [{"language": "python", "source": "print(2)"}]}
    problem = _read(tmp_path, row)
    assert isinstance(problem, Problem)
    assert problem.name == id_
    assert programs or (len(problem.accepted), len(problem.wrong)) == (1, 1)


_DOCSTRING = '"""\n```\nx\n```\n"""'


@pytest.mark.parametrize(
    ("name", "columns", "right", "wrong"),
    [
        ("deep-coder", {"solutions": ["```python\nprint(2)\n```"]}, "print(2)\n", ""),
        ("apps", {"incorrect_solutions": ["print(3)"]}, "print(2 * int(input()))", "print(3)"),
        ("plain", {"wrong": [], "wrong_solutions": ["print(4)"]}, "print(2 * int(input()))", "print(4)"),
        ("live-code-bench", {"code_list": ["a", "b", ""], "graded_list": [True, False, False]}, "a", "b"),
        ("kod-code", {"r1_solution": "r = 1", "r1_correctness": "False"}, "def twice(n):\n    return 2 * n", "r = 1"),
        ("verl", {"extra_info": {"solution": "Think.\n```py\nprint(1)\n```\n"}}, "print(1)\n", ""),
        ("deep-coder", {"right": [{"language": "PYTHON3", "source": _DOCSTRING}]}, _DOCSTRING, ""),
        ("deep-coder", {"right": [{"language": "python", "source": "```c++\nint a;"}]}, "int a;", ""),
    ],
)
def test_programs_of_a_row_are_found_in_each_column_that_may_have_them(name, columns, right, wrong):
    found = problem_of({**ROWS[name], **columns})
    assert [" ".join(each.source for each in some) for some in (found.right, found.wrong)] == [right, wrong]
    for each in (*found.right, *found.wrong):
        assert each.language == ("cpp" if "int " in each.source else "python")


def test_columns_that_look_like_programs_and_are_not_used_are_named():
    more = {
        "trials": {"a": {"solution_code": "x"}},
        "thought": "import os\n",
        "drafts": ["def f():\n  pass"],
        "url": "x",
    }
    assert problem_of({**ROWS["kod-code"], **more}).notes == ("not used: trials, thought, drafts", _ASSERTS)
    assert problem_of({**ROWS["plain"], "checker": "x", "code_list": []}).notes == ("not used: checker",)


def test_parquet_gives_the_same_problems(tmp_path):
    arrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    for name, row in ROWS.items():
        place = tmp_path / f"{name}.parquet"
        parquet.write_table(arrow.Table.from_pylist([row]), place)
        (raw,) = raw_rows(str(place), "train")
        assert raw.columns is not None
        assert problem_of(raw.columns) == problem_of(row)


def test_every_schema_has_a_row():
    met = {schema.words for row in ROWS.values() if (schema := schema_of(row))}
    assert met == {schema.words for schema in SCHEMAS}


def test_limits_are_read_where_their_unit_is_known():
    read = {name: problem_of(row) for name, row in ROWS.items()}
    assert {name: each.time_limit_s for name, each in read.items() if each.time_limit_s} == {
        "code-contests": 1.5, "code-contests-plus": 2.0, "codeforces": 1.0, "codeforces-cots": 1.0, "hard-tests": 1.0,
        "plain": 2.0, "taco": 2.0, "verifiable-problems": 1.0,
    }  # fmt: skip
    assert {name: each.memory_bytes for name, each in read.items() if each.memory_bytes} == {
        "code-contests": 1000, "code-contests-plus": 2**28, "codeforces": 2**26, "codeforces-cots": 2**26,
        "hard-tests": 2**26, "taco": 2**28, "verifiable-problems": 1000,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("name", "columns", "why"),
    [
        ("verl", {"ability": "math"}, "its ability is 'math', not code"),
        ("synthetic", {"verification_info": "{'ground_truth': '2'}"}, "verification_info: has no test_cases"),
        ("codeforces", {"interaction_format": "Ask."}, "it is interactive"),
        ("codeforces", {"input_mode": "file"}, "its programs read a file (input_mode)"),
        ("kod-code", {"test": "assert a.b(1) == 2"}, "test: no assert compares a call of a function with a value"),
        ("kod-code", {"test": "assert ("}, "test: is not Python: "),
    ],
)
def test_what_cannot_be_judged_is_named(name, columns, why, tmp_path):
    read = _read(tmp_path, {**ROWS[name], **columns})
    assert isinstance(read, BadRow)
    assert why in str(read)


# -- the pickles of LiveCodeBench ----------------------------------------------------------------------


class _Runs:
    def __init__(self, path: str) -> None:
        self._path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return open, (self._path, "w")


def _packed(value: Any) -> str:
    return base64.b64encode(zlib.compress(pickle.dumps(value))).decode()


@pytest.mark.parametrize(
    ("private", "why"),
    [
        (_packed(["no text"]), "FRAME, EMPTY_LIST; it must hold a single text, of JSON"),
        (base64.b64encode(zlib.compress(b"\x80\x04\x8c\x01a" + b"\x94" * 99 + b".")).decode(), "MEMOIZE; it must"),
        (base64.b64encode(zlib.compress(b"\x80\x02X\x01\0\0\0[r\xff\xff\xff\x7f.")).decode(), "are not JSON"),
        (_packed("no JSON"), "private_test_cases: the tests are not JSON"),
        (_packed("[]")[:-8], "is neither JSON nor base64 of a compressed pickle"),
        ("?", "private_test_cases: the tests are not JSON"),
    ],
)
def test_private_tests_that_cannot_be_read_are_named(private, why):
    with pytest.raises(PackageError) as raised:
        problem_of({**ROWS["live-code-bench"], "private_test_cases": private})
    assert why in str(raised.value)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_pickle_is_read_and_runs_nothing(protocol, tmp_path):
    data = pickle.dumps(_Runs(str(tmp_path / "made")), protocol)
    packed = base64.b64encode(zlib.compress(data)).decode()
    with pytest.raises(PackageError, match="it must hold a single text, of JSON"):
        problem_of({**ROWS["live-code-bench"], "private_test_cases": packed})
    assert not list(tmp_path.iterdir())
    text = json.dumps([{"input": "\u00e9\n" + "1" * 70_000, "output": "2\n", "testtype": "stdin"}], ensure_ascii=False)
    packed = base64.b64encode(zlib.compress(pickle.dumps(text, protocol))).decode()
    found = problem_of({**ROWS["live-code-bench"], "private_test_cases": packed})
    assert [test.input[:2] for test in found.tests] == ["1\n", "\u00e9\n"]


def test_a_bomb_is_not_unpacked(monkeypatch):
    monkeypatch.setattr("balancer.rows.test_forms._MOST_PACKED", 2**20)
    with pytest.raises(PackageError, match=r"private_test_cases: .* it has more than 1 MiB"):
        problem_of({**ROWS["live-code-bench"], "private_test_cases": _packed("0" * 2**21)})


# -- whatever a row holds ------------------------------------------------------------------------------

_ODD = [None, True, -1, 10**400, math.nan, "", "\ud800", "{", "[" * 100_000, [], [7], [[]], ["x"], {}, {"input": 1}]


def broken(value: Any) -> Iterator[Any]:
    """Yield `value` with each of its parts in turn replaced by each odd value, or left out."""
    yield from _ODD
    if isinstance(value, dict):
        for name, part in value.items():
            yield {other: kept for other, kept in value.items() if other != name}
            yield from ({**value, name: odd} for odd in broken(part))
    elif isinstance(value, list):
        for number, part in enumerate(value):
            yield from ([*value[:number], odd, *value[number + 1 :]] for odd in broken(part))


@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)
def test_whatever_a_row_holds_it_is_read_or_named(row):
    for each in broken(row):
        if not isinstance(each, dict):
            continue
        try:
            read = problem_of(each)
        except PackageError as error:
            words = str(error)
        else:
            words = "".join([read.id, *(test.input for test in read.tests), *(one.source for one in read.right)])
            assert read.time_limit_s is None or 0 < read.time_limit_s < math.inf
            assert (read.memory_bytes or 1) < 2**63
        words.encode()


def test_right_stands_for_the_solutions_of_apps():
    tests = '{"inputs": ["1"], "outputs": ["2"]}'
    row = problem_of({"question": "q", "input_output": tests, "right": [{"language": "python", "source": "print(2)"}]})
    assert (row.statement, len(row.tests), len(row.right)) == ("q", 1, 1)


def test_a_function_beside_plain_tests_is_called():
    tests = [{"input": "1\n2", "output": "3", "kind": "private"}, {"input": [1, 2], "output": 3}]
    solution = {"language": "python", "source": "def f(a, b): return a + b"}
    row = problem_of({"id": "a", "fn_name": "f", "tests": tests, "right": [solution]})
    assert [(test.function, test.kind, test.input) for test in row.tests] == [
        ("f", "public", "1\n2\n"),
        ("f", "private", "1\n2\n"),
    ]
