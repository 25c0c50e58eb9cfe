"""Reading packages that are not in order: every one gets a line that says what to do."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from balancer.errors import PackageError
from balancer.pipeline.packages.folder import MAX_FILE_BYTES
from balancer.pipeline.packages.read import read_problem, read_problems

SMALL: dict[str, str | bytes] = {
    "problem.yaml": "name: Sum\n",
    "data/sample/1.in": "1 2\n",
    "submissions/accepted/sum.py": "print(3)\n",
}
GONE = "(gone)"  # marks a file of SMALL that the package does not have


def write(root: Path, files: dict[str, str | bytes]) -> Path:
    for path, content in {**SMALL, **files}.items():
        if content != GONE:
            file = root / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content if isinstance(content, bytes) else content.encode())
    return root


def problems_of(root: Path) -> list[str]:
    with pytest.raises(PackageError) as caught:
        read_problem(root)
    return [line.removeprefix(f"{root}/") for line in caught.value.problems]


# One row: what is in the package, and the line it gets.
BAD: list[tuple[dict[str, str | bytes], str]] = [
    (
        {"problem.yaml": GONE},
        "problem.yaml: missing; every package has one, e.g. with the line 'name: Two Sums'",
    ),
    (
        {"problem.yaml": "name: a\nlimits: [\n"},
        "problem.yaml:3: is not YAML (expected the node content, but found '<stream end>'); mend the syntax",
    ),
    (
        {"problem.yaml": "name: 2024-99-99\n"},
        "problem.yaml: is not YAML (month must be in 1..12); mend the syntax",
    ),
    (
        {"problem.yaml": "- name\n"},
        "problem.yaml: holds ['name']; a mapping 'key: value' is allowed, write one",
    ),
    (
        {"problem.yaml": "name: [a, b]\n"},
        "problem.yaml: name is ['a', 'b']; a text is allowed, or one for each language",
    ),
    (
        {"problem.yaml": "limits: {time_limit: 0}\n"},
        "problem.yaml: limits.time_limit is 0; a number of seconds above 0 is allowed, e.g. 2.0",
    ),
    (
        {"problem.yaml": "limits: {time_limit: soon}\n"},
        "problem.yaml: limits.time_limit is 'soon'; a number of seconds above 0 is allowed, e.g. 2.0",
    ),
    (
        {"problem.yaml": "limits: {memory: true}\n"},
        "problem.yaml: limits.memory is True; a number of MiB above 0 is allowed, e.g. 512",
    ),
    (
        {"problem.yaml": "limits: 3\n"},
        "problem.yaml: limits is 3; a mapping is allowed, e.g. 'time_limit: 2'",
    ),
    (
        {".timelimit": "-1\n"},
        ".timelimit: holds '-1'; a number of seconds above 0 is allowed, e.g. 2.0",
    ),
    (
        {".timelimit": "nan\n"},
        ".timelimit: holds 'nan'; a number of seconds above 0 is allowed, e.g. 2.0",
    ),
    (
        {"problem.yaml": "validation: fuzzy\n"},
        "problem.yaml: validation is 'fuzzy'; allowed: default, custom; choose one",
    ),
    (
        {"problem.yaml": "validation: custom interactive\n"},
        "problem.yaml: validation is 'custom interactive'; interactive problems are not supported, "
        "leave this package out",
    ),
    (
        {"problem.yaml": "validation: custom score\n"},
        "problem.yaml: validation is 'custom score'; score problems are not supported, leave this package out",
    ),
    (
        {"problem.yaml": "type: [pass-fail, interactive]\n"},
        "problem.yaml: type is ['pass-fail', 'interactive']; only pass-fail is supported, leave this package out",
    ),
    (
        {"problem.yaml": "validator_flags: 7\n"},
        "problem.yaml: validator_flags is 7; a text is allowed, put it in quotes",
    ),
    (
        {"problem.yaml": "validator_flags: float_tolerance -1e-6\n"},
        "problem.yaml: validator_flags: float_tolerance is -1e-6; a finite number from 0 up is allowed, e.g. 1e-6",
    ),
    (
        {"problem.yaml": "validator_flags: fast\n"},
        "problem.yaml: validator_flags: unknown flag 'fast'; allowed: case_sensitive, space_change_sensitive, "
        "float_tolerance, float_relative_tolerance, float_absolute_tolerance",
    ),
    (
        {"problem.yaml": "validation: custom\n"},
        "output_validators: validation is custom, but no program can be used; add one",
    ),
    (
        {"problem.yaml": "validation: custom\n", "output_validators/V.java": "x"},
        "output_validators: validation is custom, but no program can be used "
        "(output_validators/V.java: language java is not supported); add one",
    ),
    (
        {"problem.yaml": "validation: default\n", "output_validators/v.py": "x"},
        "output_validators: found output_validators/v.py, but validation is default; "
        "write 'validation: custom' or take it out",
    ),
    (
        {"output_validators/a.py": "x", "output_validators/b.py": "x"},
        "output_validators: found output_validators/a.py, output_validators/b.py; "
        "one program in python or cpp is allowed, keep one",
    ),
    (
        {"data/sample/1.in": GONE},
        "data: no inputs; at least one '.in' file is needed in data/sample or data/secret, add one",
    ),
    (
        {"data/secret/7.ans": "3"},
        "data/secret/7.ans: has no input data/secret/7.in beside it; add the input or take the answer out",
    ),
    (
        {"data/sample/testdata.yaml": "output_validator_flags: [1]\n"},
        "data/sample/testdata.yaml: output_validator_flags is [1]; a text or a list of texts is allowed, use quotes",
    ),
    (
        {"data/secret/testdata.yaml": "output_validator_flags: case_sensitive\n", "data/secret/1.in": "2"},
        "data: groups tell the validators different things (data/sample: (none), data/secret: case_sensitive); "
        "one set of flags for all is allowed",
    ),
    (
        {"submissions/accepted/sum.py": GONE, "submissions/accepted/Sum.java": "class Sum {}"},
        "submissions/accepted: no submission that can be used "
        "(accepted/Sum.java: language java is not supported); "
        "a reference solution in python or cpp is needed, add one",
    ),
    (
        {"submissions/accepted/sum.py": GONE},
        "submissions/accepted: no submission that can be used; "
        "a reference solution in python or cpp is needed, add one",
    ),
    (
        {"submissions/wrong_answer/latin.cpp": b"// caf\xe9\n"},
        "submissions/wrong_answer/latin.cpp: is not UTF-8 (byte 6); save it as UTF-8",
    ),
    (
        {"input_validators/v.py": b"\xff"},
        "input_validators/v.py: is not UTF-8 (byte 0); save it as UTF-8",
    ),
    (
        {"include/python/grader.py": "x"},
        "include: files to be compiled with submissions are not supported; leave this package out",
    ),
]


@pytest.mark.parametrize(("files", "line"), BAD, ids=[line.split(";")[0][:60] for _, line in BAD])
def test_a_bad_package_gets_one_line(tmp_path: Path, files: dict[str, str | bytes], line: str) -> None:
    assert problems_of(write(tmp_path / "p", files)) == [line]


def test_all_that_is_wrong_is_said_at_once(tmp_path: Path) -> None:
    files: dict[str, str | bytes] = {
        "problem.yaml": "limits: {time_limit: x, memory: y}\nvalidation: z\n",
        "data/sample/1.in": GONE,
        "data/sample/2.ans": "1",
        "submissions/accepted/sum.py": b"\xff",
    }
    places = [line.split(":")[0] for line in problems_of(write(tmp_path / "p", files))]
    assert places == ["problem.yaml"] * 3 + [
        "data/sample/2.ans",
        "data",
        "submissions/accepted/sum.py",
        "submissions/accepted",
    ]


def test_a_link_out_of_the_package_is_refused(tmp_path: Path) -> None:
    (tmp_path / "secret.txt").write_text("secret")
    root = write(tmp_path / "p", {})
    os.symlink(tmp_path / "secret.txt", root / "data/sample/2.in")
    os.symlink("/etc", root / "data/secret")
    assert problems_of(root) == [
        "data/sample/2.in: is a link that leads outside the package; put a copy there",
        "data/secret: is a link that leads outside the package; put a copy there",
    ]


def test_a_problem_yaml_that_is_a_link_out_is_refused(tmp_path: Path) -> None:
    (tmp_path / "other.yaml").write_text("name: x")
    root = write(tmp_path / "p", {"problem.yaml": GONE})
    os.symlink(tmp_path / "other.yaml", root / "problem.yaml")
    assert problems_of(root) == ["problem.yaml: is a link that leads outside the package; put a copy there"]


def test_links_in_a_circle_and_links_to_folders_are_refused(tmp_path: Path) -> None:
    root = write(tmp_path / "p", {})
    os.symlink("2.in", root / "data/sample/2.in")
    os.symlink(".", root / "data/sample/loop")
    assert problems_of(root) == [
        "data/sample/2.in: is a link to nowhere or a missing file; put the file there",
        "data/sample/loop: is a link to a folder; links to files in the package are allowed, put a copy there",
    ]


def test_a_file_that_is_too_large_is_refused(tmp_path: Path) -> None:
    root = write(tmp_path / "p", {})
    with (root / "data/sample/2.in").open("wb") as file:
        file.truncate(MAX_FILE_BYTES + 1)  # sparse: takes no room on disk
    assert problems_of(root) == ["data/sample/2.in: has 67108865 bytes; 67108864 (64 MiB) are allowed, make it smaller"]


def test_a_named_pipe_does_not_block(tmp_path: Path) -> None:
    root = write(tmp_path / "p", {})
    os.mkfifo(root / "data/sample/2.in")
    assert problems_of(root) == ["data/sample/2.in: is not an ordinary file; only files may lie here, take it out"]


def test_nested_aliases_are_shown_in_a_line(tmp_path: Path) -> None:
    bomb = "a: &a [x, x, x, x, x, x, x, x]\n" + "".join(
        f"{new}: &{new} [{', '.join(['*' + old] * 8)}]\n" for old, new in zip("abcdefgh", "bcdefghi", strict=True)
    )
    (line,) = problems_of(write(tmp_path / "p", {"problem.yaml": f"{bomb}name: *i\n"}))
    assert len(line) < 200


@pytest.mark.parametrize(
    ("place", "line"),
    [
        ("nowhere", "nowhere: not a folder; name a problem package or a folder of them"),
        ("empty", "empty: no folder in it has a problem.yaml; name a problem package or a folder of them"),
    ],
)
def test_no_packages_at_all(tmp_path: Path, place: str, line: str) -> None:
    (tmp_path / "empty" / "sub").mkdir(parents=True)
    with pytest.raises(PackageError) as caught:
        read_problems(tmp_path / place)
    assert caught.value.problems == (f"{tmp_path}/{line}",)


def test_the_lines_of_all_packages_are_said_at_once(tmp_path: Path) -> None:
    write(tmp_path / "good", {})
    write(tmp_path / "bad", {"validation": "x", "problem.yaml": "validation: x\n"})
    write(tmp_path / "worse", {"data/sample/1.in": GONE})
    with pytest.raises(PackageError) as caught:
        read_problems(tmp_path)
    assert [line.removeprefix(f"{tmp_path}/").split(":")[0] for line in caught.value.problems] == [
        "bad/problem.yaml",
        "worse/data",
    ]


@given(st.text(max_size=80) | st.binary(max_size=80))
def test_any_problem_yaml_is_read_or_refused_in_lines(
    tmp_path_factory: pytest.TempPathFactory, content: str | bytes
) -> None:
    root = write(tmp_path_factory.mktemp("p"), {"problem.yaml": content})
    lines: tuple[str, ...] = ()
    try:
        read_problem(root)
    except PackageError as error:
        lines = error.problems or ("no line",)
    assert all("\n" not in line and line.startswith(str(root)) for line in lines)
