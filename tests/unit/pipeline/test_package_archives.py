"""Packages in archives: read as if they were folders, and never more than is allowed."""

import os
import zipfile
from pathlib import Path

import pytest

from balancer.errors import PackageError
from balancer.pipeline.packages import folder
from balancer.pipeline.packages.fingerprint import fingerprint
from balancer.pipeline.packages.read import read_packages, read_problem
from tests.unit.pipeline.packages import SMALL, Files, write


def packed(path: Path, files: Files, *, inside: str = "", links: dict[str, str] | None = None) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in {**SMALL, **files}.items():
            file.writestr(inside + name, content)
        for name, aim in (links or {}).items():
            entry = zipfile.ZipInfo(inside + name)
            entry.create_system = 3
            entry.external_attr = 0o120777 << 16
            file.writestr(entry, aim)
    return path


@pytest.mark.parametrize("inside", ["", "sum/"])
@pytest.mark.parametrize("ending", ["zip", "kpp"])
def test_an_archive_is_read_as_its_folder_is(tmp_path, ending, inside):
    folder = read_problem(write(tmp_path / "sum", {}))
    file = packed(tmp_path / f"sum.{ending}", {}, inside=inside)
    before = sorted(os.listdir(tmp_path))
    problem = read_problem(file)
    assert (problem.id, problem.path) == ("sum", file)
    assert fingerprint(problem) == fingerprint(folder)
    assert sorted(os.listdir(tmp_path)) == before


def test_a_run_takes_archives_and_folders(tmp_path):
    write(tmp_path / "a", {})
    packed(tmp_path / "a.zip", {})
    packed(tmp_path / "b.kpp", {})
    (tmp_path / "c.zip").write_bytes(b"no zip")
    (tmp_path / "notes.txt").write_text("x")
    read = read_packages(tmp_path)
    assert [(place, problem.id) for place, problem in read.problems] == [(0, "a"), (2, "b")]
    assert [(package.name, package.why.split(" (")[0]) for package in read.left_out] == [
        ("a.zip", "has the name of a, which is used; rename one"),
        ("c", "cannot be unpacked"),
    ]
    assert [problem.id for _, problem in read_packages(tmp_path / "b.kpp").problems] == ["b"]


def test_names_that_lead_out_and_links_are_left_out(tmp_path):
    (tmp_path / "victim").mkdir()
    (tmp_path / "victim/secret.in").write_text("secret")
    files: Files = {
        "../evil.txt": "x",
        "/tmp/evil.txt": "x",
        "data/secret/../../../evil.txt": "x",
        "data/secret/out/3.in": "through a link",
    }
    links = {"data/sample/2.in": "1.in", "data/secret/4.in": f"{tmp_path}/victim/secret.in", "data/secret/out": "/tmp"}
    problem = read_problem(packed(tmp_path / "x.zip", files, links=links))
    assert [proposal.data for proposal in problem.data] == [b"1 2\n", b"1 2\n", b"through a link"]
    assert list(problem.left_out) == [
        "'../evil.txt'",
        "'/tmp/evil.txt'",
        "'data/secret/../../../evil.txt'",
        "data/secret/out",
        "data/secret/4.in",
    ]
    assert not list(tmp_path.parent.rglob("evil.txt"))


def test_a_bomb_is_bounded(tmp_path, monkeypatch):
    monkeypatch.setattr(folder, "_MOST_BYTES", 3 * 2**20)
    zeros = bytes(2 * 2**20)
    file = packed(tmp_path / "x.zip", {"data/secret/1.in": zeros, "data/secret/2.in": zeros})
    assert file.stat().st_size < 20_000
    with pytest.raises(PackageError, match="unpacks to more than"):
        read_problem(file)


def test_a_file_that_is_larger_than_it_says_is_not_believed(tmp_path, monkeypatch):
    monkeypatch.setattr(folder, "MAX_FILE_BYTES", 2**20)
    file = packed(tmp_path / "x.zip", {"data/secret/1.in": bytes(2 * 2**20)})
    assert list(read_problem(file).left_out) == ["data/secret/1.in"]  # it says so
    data = file.read_bytes()
    size = (2 * 2**20).to_bytes(4, "little")
    assert size in data
    file.write_bytes(data.replace(size, (100).to_bytes(4, "little")))
    with pytest.raises(PackageError):
        read_problem(file)


def test_too_many_files_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(folder, "_MOST_FILES", 3)
    with pytest.raises(PackageError, match="has 5 files; 3 are allowed"):
        read_problem(packed(tmp_path / "x.zip", {}))


def test_a_password_is_told(tmp_path):
    file = packed(tmp_path / "x.zip", {})
    data = bytearray(file.read_bytes())
    for mark, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):  # where each header has its flags
        at = data.find(mark)
        while at >= 0:
            data[at + flags] |= 1
            at = data.find(mark, at + 1)
    file.write_bytes(bytes(data))
    with pytest.raises(PackageError, match="cannot be unpacked"):
        read_problem(file)
