"""A check looks at the data of packages, and does not keep it: memory does not grow with it."""

import tracemalloc
from pathlib import Path

import pytest

from balancer.errors import PackageError
from balancer.pipeline.packages.read import read_packages, read_problem
from tests.unit.pipeline.packages import write


def sparse(file: Path, size: int) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("wb") as opened:
        opened.truncate(size)


def peak_of(root: Path, *, whole: bool) -> int:
    tracemalloc.start()
    try:
        assert len(read_packages(root, whole=whole).read) == 2
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_two_hundred_megabytes_take_none(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write(tmp_path / name, {})
        for number in range(5):
            sparse(tmp_path / name / f"data/secret/{number}.in", 10 * 2**20)
            sparse(tmp_path / name / f"data/secret/{number}.ans", 9 * 2**20)
        sparse(tmp_path / name / "data/secret/0.files/table", 10 * 2**20)
    assert peak_of(tmp_path, whole=False) < 20 * 2**20
    assert peak_of(tmp_path, whole=True) > 190 * 2**20  # what a run holds: the measure measures


def test_all_else_is_found_as_it_is_in_a_run(tmp_path: Path) -> None:
    root = write(tmp_path / "p", {"data/secret/1.in": "5", "data/secret/2.in": "6", "data/secret/2.ans": "6"})
    (root / "data/secret/3.in").symlink_to("/etc/passwd")
    sparse(root / "data/secret/4.in", 64 * 2**20 + 1)
    (root / "data/secret/5.in").mkdir()
    looked, read = read_problem(root, whole=False), read_problem(root)
    assert looked.left_out == read.left_out
    assert read.left_out.keys() == {"data/secret/3.in", "data/secret/4.in"}
    assert [known.origin for known in looked.data] == [known.origin for known in read.data]
    assert [known.answer is None for known in looked.data] == [known.answer is None for known in read.data]
    assert {known.data for known in looked.data} == {b""}
    assert looked.submissions == read.submissions
    assert looked.input_validators == read.input_validators


def test_a_package_without_inputs_is_still_none(tmp_path: Path) -> None:
    with pytest.raises(PackageError, match="no inputs"):
        read_problem(write(tmp_path / "p", {"data/sample/1.in": "(gone)", "data/sample/1.ans": "(gone)"}), whole=False)
