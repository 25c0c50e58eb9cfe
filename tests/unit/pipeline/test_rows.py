"""Rows of data sets: what is read, what is named and left out, and which solutions are drawn."""

import importlib.util
import itertools
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from balancer.errors import ConfigError
from balancer.pipeline.rows.raw import are_rows, count_rows, raw_rows
from balancer.pipeline.rows.read import BadRow, Shard, drawn, number_of_rows, parse_shard, read_rows
from balancer.problem import Problem
from balancer.rows.columns import Solution
from balancer.settings.pipeline import RowSettings
from tests.contracts.documents import ROOT

_ROWS = ROOT / "examples" / "rows" / "rows.jsonl"
_LANGUAGES = frozenset({"cpp", "python"})


def _row(name: str = "p", **columns: Any) -> dict[str, Any]:
    return {
        "name": name,
        "description": "Add.",
        "public_tests": {"input": ["1 2\n"], "output": ["3\n"]},
        "private_tests": {"input": [], "output": []},
        "generated_tests": {"input": ["9 9\n"], "output": ["18\n"]},
        "solutions": {"language": [3, 2], "solution": ["print(3)", "int main() {}"]},
        "incorrect_solutions": {"language": [3], "solution": ["print(4)"]},
        "time_limit": {"seconds": 1, "nanos": 500000000},
        "memory_limit_bytes": 1000,
        **columns,
    }


PLAIN = {
    "id": "add",
    "statement": "Add.",
    "time_limit_s": 2,
    "tests": [{"input": "1 2\n", "output": "3\n", "kind": "public"}],
    "right": [{"language": "Python", "source": "print(3)"}],
    "wrong": [{"language": "cpp", "source": "int main() {}"}],
}


def _file(folder: Path, *rows: Mapping[str, Any] | str) -> str:
    path = folder / "rows.jsonl"
    path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows))
    return str(path)


def _read(place: str, share: Shard | None = None, **settings: Any) -> list[Problem | BadRow]:
    return [read for _, read in read_rows(place, RowSettings(**settings), _LANGUAGES, share=share or Shard())]


def _only(place: str, **settings: Any) -> Problem:
    (problem,) = _read(place, **settings)
    assert isinstance(problem, Problem), problem
    return problem


def test_the_example_rows_are_what_their_builder_makes():
    spec = importlib.util.spec_from_file_location("build", _ROWS.with_name("build.py"))
    assert spec is not None
    assert spec.loader is not None
    build = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(build)
    assert [json.loads(line) for line in _ROWS.read_text().splitlines()] == [build.row(name) for name in build.NAMES]


def test_a_row_of_code_contests(tmp_path):
    problem = _only(_file(tmp_path, _row("1575_A. Another Sorting Problem")), tests=["public", "generated"])
    assert (problem.id, problem.name) == ("1575_A.-Another-Sorting-Problem", "1575_A. Another Sorting Problem")
    assert (problem.time_limit_s, problem.memory_bytes, problem.statement) == (1.5, 1000, "Add.")
    assert [(case.data, case.answer, case.origin.detail) for case in problem.data] == [
        (b"1 2\n", b"3\n", "public 1"),
        (b"9 9\n", b"18\n", "generated 2"),
    ]
    assert [s.name for s in problem.accepted] == ["right/0.py", "right/1.cpp"]
    assert [s.name for s in problem.wrong] == ["wrong/0.py"]


def test_repeated_solutions_count_once_and_other_languages_are_named(tmp_path):
    solutions = {"language": [3, 3, 1, 4, 0], "solution": ["print(3)", "print(3)  \r\n", "print 3", "class A {}", "?"]}
    problem = _only(_file(tmp_path, _row(solutions=solutions)))
    assert [s.name for s in problem.accepted] == ["right/0.py"]
    assert dict(problem.left_out) == {
        "1 in java": "no endpoint runs java",
        "1 in language 0": "no endpoint runs language 0",
        "1 in python2": "no endpoint runs python2",
    }


_BAD = [
    ("{", "is not JSON"),
    ("[1]", "is a list; it must be an object"),
    ("[" * 100_000, "is not JSON"),
    ({"question": "?"}, "it has the columns question; known are APPS'"),
    (_row(""), "name: found str ''; it must be a text that is not empty"),
    (
        _row(solutions={"language": [3], "solution": []}),
        "solutions: 1 languages, 0 programs; give as many of each",
    ),
    (_row(solutions={"language": [3], "solution": [7]}), "solutions[0]: found int 7; it must be the text of a program"),
    (_row(solutions=[""]), "solutions[0]: found str ''; it must be the text of a program"),
    (_row(solutions=[[]]), "solutions[0]: found list []; it must be an object with names"),
    (_row(solutions="{"), "solutions: is neither JSON nor a Python literal"),
    (_row(solutions=[{"language": [3], "solution": "print(1)"}]), "solutions[0]: its language is list [3]"),
    (_row(name="\ud800"), "name: it has half of a surrogate pair"),
    (_row(public_tests={"input": ["1"], "output": []}), "public_tests: the tests have 1 inputs and 0 outputs"),
    (
        _row(public_tests={"input": [1], "output": ["1"]}),
        "public_tests: tests[0]: the input is 1 (int); it must be a text",
    ),
    (_row(public_tests=None, generated_tests=None), "it has no test"),
    (_row(public_tests=None), "it has no test of the kinds that [pipeline.rows] tests names"),
    (
        _row(solutions={"language": [4], "solution": ["class A {}"]}),
        "no endpoint runs a right solution (they are in: java",
    ),
]


@pytest.mark.parametrize(("bad", "why"), _BAD, ids=[why[:40] for _, why in _BAD])
def test_a_bad_row_is_named_and_the_others_go_on(bad, why, tmp_path):
    first, second, third = _read(_file(tmp_path, _row("a"), bad, _row("c")))
    assert isinstance(first, Problem)
    assert isinstance(third, Problem)
    assert isinstance(second, BadRow)
    assert str(second).startswith("row 1 (from 0) is left out: ")
    assert why in str(second)
    assert "\n" not in str(second)


def test_rows_are_read_one_at_a_time(tmp_path):
    place = _file(tmp_path, _row("a"), _row("b"))
    rows = read_rows(place, RowSettings(), _LANGUAGES)
    next(rows)
    with open(place, "a") as more:  # a reader that had read all would not see it
        more.write(json.dumps(_row("c", description="x" * 100_000)) + "\n")
    assert len(list(rows)) == 2


def test_limit_and_names(tmp_path):
    place = _file(tmp_path, *(_row(name) for name in "abcdef"))

    def ids(**settings: Any) -> str:
        return "".join(read.id for read in _read(place, **settings) if isinstance(read, Problem))

    assert ids(limit=3) == "abc"
    assert ids(ids=["e", "b"]) == "be"
    assert ids(limit=100) == "abcdef"


def test_the_shares_of_all_machines_are_all_rows_once(tmp_path):
    place = _file(tmp_path, *(_row(f"r{number}") for number in range(11)))
    shares = [_read(place, Shard(index, 3)) for index in range(3)]
    assert sorted(len(share) for share in shares) == [3, 4, 4]
    ids = {read.id for read in itertools.chain(*shares) if isinstance(read, Problem)}
    assert ids == {f"r{number}" for number in range(11)}
    assert parse_shard("3/3") == Shard(2, 3)
    for odd in ("0/3", "4/3", "1", "a/b", "1/", "-1/2"):
        with pytest.raises(ValueError, match=r"is not a share; write i/n"):
            parse_shard(odd)


def test_parquet_in_several_files_and_both_shapes_of_a_sequence(tmp_path):
    arrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    structs = [{"language": 3, "solution": "print(3)"}]
    parquet.write_table(arrow.Table.from_pylist([_row("a"), _row("b")]), tmp_path / "0.parquet")
    parquet.write_table(arrow.Table.from_pylist([_row("c", solutions=structs)]), tmp_path / "1.parquet")
    reads = _read(str(tmp_path / "*.parquet"))
    assert [read.id for read in reads if isinstance(read, Problem)] == ["a", "b", "c"]
    (tmp_path / "0.parquet").write_text("no parquet")
    with pytest.raises(ConfigError, match=r"0\.parquet: is not a Parquet file"):
        _read(str(tmp_path / "0.parquet"))


def test_a_folder_that_datasets_has_saved(tmp_path):
    datasets = pytest.importorskip("datasets")
    rows = datasets.Dataset.from_list([_row("a"), _row("b")])
    rows.save_to_disk(tmp_path / "one")
    datasets.DatasetDict({"train": rows, "test": rows.select([1])}).save_to_disk(tmp_path / "two")
    assert are_rows(str(tmp_path / "one"))
    assert are_rows(str(tmp_path / "two"))
    assert [read.id for read in _read(str(tmp_path / "one")) if isinstance(read, Problem)] == ["a", "b"]
    assert [read.id for read in _read(str(tmp_path / "two"), split="test") if isinstance(read, Problem)] == ["b"]
    with pytest.raises(ConfigError, match=r"has no split 'valid'; it has: test, train"):
        _read(str(tmp_path / "two"), split="valid")


@pytest.mark.parametrize(
    ("place", "called"),
    [("hf:a/b", ("a/b", None)), ("hf:a/b:1x", ("a/b", "1x"))],
)
def test_a_data_set_is_named_with_its_configuration(place, called, monkeypatch):
    datasets = pytest.importorskip("datasets")
    asked: list[tuple[Any, ...]] = []

    def load(*args: Any, split: str, streaming: bool) -> Any:
        asked.append((*args, split, streaming))
        return datasets.Dataset.from_list([_row("a"), _row("b")])

    monkeypatch.setattr(datasets, "load_dataset", load)
    assert [read.id for read in _read(place, split="test") if isinstance(read, Problem)] == ["a", "b"]
    assert asked == [(*called, "test", True)]


def test_what_are_rows_and_what_is_not_there(tmp_path):
    assert are_rows("rows.jsonl")
    assert are_rows("part-*.parquet")
    assert are_rows("hf:deepmind/code_contests")
    assert not are_rows("no/folder"), "a folder that is not there is not looked for on the network"
    assert not are_rows(str(ROOT / "examples" / "problems"))
    assert not are_rows("./examples")
    assert not are_rows("no/such")
    with pytest.raises(ConfigError, match=r"nowhere\.jsonl: no such file"):
        list(raw_rows(str(tmp_path / "nowhere.jsonl"), "train"))


_solutions = st.lists(st.sampled_from(["python", "cpp", "java"]), max_size=12).map(
    lambda languages: [Solution(number, language, f"{number}") for number, language in enumerate(languages)]
)


@given(solutions=_solutions, most=st.integers(1, 12), seed=st.text(max_size=3))
def test_drawn_solutions_are_spread_over_languages(solutions, most, seed):
    languages = {"python", "cpp"}
    able = [solution for solution in solutions if solution.language in languages]
    chosen = drawn(solutions, most, languages, seed)
    assert set(chosen) <= set(able)
    assert len(chosen) == min(most, len(able))
    assert list(chosen) == sorted(chosen, key=lambda solution: solution.number)
    counts = {language: sum(each.language == language for each in chosen) for language in languages}
    for one, other in itertools.permutations(languages, 2):  # none is short of its turn while it has some left
        left = sum(each.language == one for each in able) - counts[one]
        assert not left or counts[other] <= counts[one] + 1
    assert set(chosen) <= set(drawn(solutions, most + 1, languages, seed))
    assert drawn(solutions, "all", languages, seed) == tuple(able)


@given(
    rows=st.integers(0, 20),
    limit=st.none() | st.integers(1, 22),
    share=st.integers(1, 4).flatmap(lambda of: st.builds(Shard, st.integers(0, of - 1), st.just(of))),
)
def test_the_number_of_rows_is_known_beforehand(tmp_path_factory, rows, limit, share):
    place = _file(tmp_path_factory.mktemp("rows"), *(_row(f"p{n}") for n in range(rows)))
    settings = RowSettings(limit=limit)
    assert number_of_rows(rows, settings, share) == len(list(read_rows(place, settings, _LANGUAGES, share=share)))


def test_rows_are_counted_where_the_format_tells(tmp_path, monkeypatch):
    datasets = pytest.importorskip("datasets")
    rows = datasets.Dataset.from_list([_row(f"p{n}") for n in range(5)])
    rows.to_parquet(tmp_path / "0.parquet")
    rows.select(range(2)).to_parquet(tmp_path / "1.parquet")
    rows.save_to_disk(tmp_path / "saved")
    lines = _file(tmp_path, _row("a"), "\n ", _row("b"))
    for place, count in ((str(tmp_path / "*.parquet"), 7), (str(tmp_path / "saved"), 5), (lines, 2)):
        assert count_rows(place, "train") == count
    monkeypatch.setattr("balancer.pipeline.rows.raw._MOST_COUNTED", 10)
    assert count_rows(lines, "train") is None, "they are many"
    assert number_of_rows(7, RowSettings(ids=["p1", "p2"])) == 2
