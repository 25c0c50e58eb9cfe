"""Reading packages that are not in order: every one gets a line that says what to do."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from balancer.errors import PackageError
from balancer.pipeline.packages.folder import MAX_FILE_BYTES
from balancer.pipeline.packages.read import read_packages, read_problem
from balancer.problem import Checker
from tests.unit.pipeline.packages import GONE, Files, write


def problems_of(root: Path) -> list[str]:
    with pytest.raises(PackageError) as caught:
        read_problem(root)
    return [line.removeprefix(f"{root}/") for line in caught.value.problems]


_SECONDS = "a number of seconds above 0 is allowed, e.g. 2.0"
_UNFIT = "only pass-fail problems with one run a case can be judged"
_XYZ = "no known language has the extension '.xyz'"
_FLAGS = "space_change_sensitive, float_tolerance, float_relative_tolerance, float_absolute_tolerance"

# One row: a problem.yaml, and what is said of it.
BAD_YAML: list[tuple[str, str]] = [
    ("name: a\nlimits: [\n", ":3: is not YAML (expected the node content, but found '<stream end>'); fix the syntax"),
    ("name: 2024-99-99", ": is not YAML (month must be in 1..12); fix the syntax"),
    ("name: [a, b]", ": name is ['a', 'b']; a text is allowed, or one for each language"),
    ("limits: {time_limit: soon}", f": limits.time_limit is 'soon'; {_SECONDS}"),
    ("limits: {memory: true}", ": limits.memory is True; a number of MiB above 0 is allowed, e.g. 512"),
    ("limits: 3", ": limits is 3; a mapping is allowed, e.g. 'time_limit: 2'"),
    ("validation: fuzzy", ": validation is 'fuzzy'; allowed: default, custom; choose one"),
    ("validation: custom interactive", f": is an interactive problem (validation: 'custom interactive'); {_UNFIT}"),
    ("type: puzzle", ": type is 'puzzle'; pass-fail is allowed, write that"),
    ("constants: {n: [1]}", ": constants.n is [1]; a text or a number is allowed, or one for each variant"),
    ("validator_flags: 7", ": validator_flags is 7; a text is allowed, put it in quotes"),
    (
        "validator_flags: float_tolerance -1e-6",
        ": flags of the output validator: float_tolerance is -1e-6; a finite number from 0 up is allowed, e.g. 1e-6",
    ),
    (
        "validator_flags: fast",
        f": flags of the output validator: unknown flag 'fast'; allowed: case_sensitive, {_FLAGS}",
    ),
]

# One row: what is in the package, and the line it gets.
BAD: list[tuple[Files, str]] = [
    *(({"problem.yaml": yaml}, f"problem.yaml{line}") for yaml, line in BAD_YAML),
    ({"problem.yaml": GONE}, "problem.yaml: missing; every package has one, e.g. with the line 'name: Two Sums'"),
    ({".timelimit": "nan\n"}, f".timelimit: holds 'nan'; {_SECONDS}"),
    ({"domjudge-problem.ini": "timelimit='soon'\n"}, f"domjudge-problem.ini: timelimit is 'soon'; {_SECONDS}"),
    (
        {"problem.yaml": "type: interactive multi-pass\nlimits: 7\n", "data/sample/1.in": GONE},
        f"problem.yaml: is an interactive problem and a multi-pass problem (type: 'interactive multi-pass'); {_UNFIT}",
    ),
    (
        {"problem.yaml": "validation: custom\n"},
        "output_validators: no output validator can be used; add one",
    ),
    (
        {"problem.yaml": "validation: custom\n", "output_validators/v.xyz": "x"},
        f"output_validators: no output validator can be used (output_validators/v.xyz: {_XYZ}); add one",
    ),
    (
        {"output_validators/a.py": "x", "output_validators/b.py": "x"},
        "output_validators: found output_validators/a.py, output_validators/b.py; "
        "only one output validator is allowed, keep one",
    ),
    (
        {"data/sample/1.in": GONE, "data/sample/1.ans": GONE},
        "data: no inputs; at least one '.in' file is needed in data/sample or data/secret, add one",
    ),
    (
        {"submissions/accepted/sum.py": GONE, "submissions/accepted/Sum.xyz": "class Sum {}"},
        f"submissions/accepted: no usable submission (accepted/Sum.xyz: {_XYZ}); add one that is right",
    ),
    (
        {"submissions/accepted/sum.py": GONE},
        "submissions/accepted: no usable submission; add one that is right",
    ),
    ({"output_validators/v.py": b"\xff"}, "output_validators/v.py: is not UTF-8 (byte 0); save it as UTF-8"),
]


@pytest.mark.parametrize(("files", "line"), BAD, ids=[line.split(";")[0][:60] for _, line in BAD])
def test_a_bad_package_gets_one_line(tmp_path, files, line):
    assert problems_of(write(tmp_path / "p", files)) == [line]


def test_all_that_is_wrong_is_said_at_once(tmp_path):
    files: Files = {
        "problem.yaml": "limits: {time_limit: x, memory: y}\nvalidation: z\n",
        "data/sample/1.in": GONE,
        "submissions/accepted/sum.py": b"\xff",
    }
    places = [line.split(":")[0] for line in problems_of(write(tmp_path / "p", files))]
    assert places == ["problem.yaml"] * 3 + ["submissions/accepted", "data"]


# One row: what is in the package beside what is in order, what is left out, and why.
ODD: list[tuple[Files, dict[str, str]]] = [
    ({"data/secret/7.ans": "3"}, {"data/secret/7.ans": "has no input 7.in beside it"}),
    (
        {"data/sample/testdata.yaml": "output_validator_flags: [[1]]\n"},
        {"data/sample/testdata.yaml": "output_validator_flags is [[1]]; a text or a list of texts is allowed, use q"},
    ),
    (
        {"submissions/wrong_answer/latin.cpp": b"// caf\xe9\n"},
        {"wrong_answer/latin.cpp": "is not UTF-8 (byte 6); save it as UTF-8"},
    ),
    ({"submissions/submissions.yaml": "- a\n"}, {"submissions/submissions.yaml": "holds ['a']; a mapping"}),
    (
        {"problem.yaml": "validation: default\n", "output_validators/v.py": "x", "output_validators/w.py": "x"},
        {"output_validators/v.py": "validation", "output_validators/w.py": "validation"},
    ),
    ({"output_validators/v.ctd.template": "x"}, {"output_validators/v.ctd.template": "no known language"}),
]


@pytest.mark.parametrize(("files", "left_out"), ODD, ids=[next(iter(left_out)) for _, left_out in ODD])
def test_an_odd_file_is_left_out_by_name_and_the_rest_is_read(tmp_path, files, left_out):
    problem = read_problem(write(tmp_path / "p", files))
    assert problem.left_out.keys() == left_out.keys()
    assert all(problem.left_out[name].startswith(why) for name, why in left_out.items())
    assert len(problem.data) == 1
    assert len(problem.accepted) == 1
    assert problem.checker == Checker()


def test_links_that_lead_nowhere_or_out_are_left_out(tmp_path):
    (tmp_path / "secret.txt").write_text("secret")
    root = write(tmp_path / "p", {"submissions/wrong_answer/many/main.py": "1", "data/sample/1.ans": GONE})
    os.symlink(tmp_path / "secret.txt", root / "data/sample/2.in")
    os.symlink("/etc", root / "data/secret")
    os.symlink("3.in", root / "data/sample/3.in")
    os.symlink(".", root / "data/sample/loop")
    os.symlink("gone.ans", root / "data/sample/1.ans")
    os.symlink("/etc/passwd", root / "submissions/accepted/out.py")
    os.symlink("nowhere.txt", root / "submissions/wrong_answer/many/notes.txt")
    with pytest.raises(PackageError, match="no inputs"):  # the one input has an answer that cannot be read
        read_problem(root)
    (root / "data/sample/4.in").write_text("4")
    problem = read_problem(root)
    out = "is a link that leads outside the package; put a copy there"
    nowhere = "is a link to nowhere or a missing file; put the file there"
    assert problem.left_out == {
        "data/sample/1.in": f"its answer cannot be read: {root}/data/sample/1.ans: {nowhere}",
        "data/sample/2.in": out,
        "data/sample/3.in": nowhere,
        "data/sample/loop": "is a link to a folder; links to files in the package are allowed, put a copy there",
        "data/secret": out,
        "accepted/out.py": out,
        "submissions/wrong_answer/many/notes.txt": nowhere,
    }
    assert [proposal.data for proposal in problem.data] == [b"4"]
    assert [submission.name for submission in problem.wrong] == ["wrong_answer/many"]


def test_a_file_that_is_too_large_is_left_out(tmp_path):
    root = write(tmp_path / "p", {})
    with (root / "data/sample/2.in").open("wb") as file:
        file.truncate(MAX_FILE_BYTES + 1)  # sparse: takes no room on disk
    left_out = {"data/sample/2.in": "has 67108865 bytes; 67108864 (64 MiB) are allowed, make it smaller"}
    assert read_problem(root).left_out == left_out


def test_a_named_pipe_does_not_block(tmp_path):
    root = write(tmp_path / "p", {})
    os.mkfifo(root / "data/sample/2.in")
    left_out = {"data/sample/2.in": "is not an ordinary file; only files are allowed here, remove it"}
    assert read_problem(root).left_out == left_out


@pytest.mark.parametrize(
    ("place", "line"),
    [
        ("nowhere", "nowhere: not a folder; name a problem package or a folder of them"),
        ("empty", "empty: no folder in it has a problem.yaml; name a problem package or a folder of them"),
    ],
)
def test_no_packages_at_all(tmp_path, place, line):
    (tmp_path / "empty" / "sub").mkdir(parents=True)
    with pytest.raises(PackageError) as caught:
        read_packages(tmp_path / place)
    assert caught.value.problems == (f"{tmp_path}/{line}",)


@given(st.text(max_size=80) | st.binary(max_size=80))
def test_any_problem_yaml_is_read_or_refused_in_lines(tmp_path_factory, content):
    root = write(tmp_path_factory.mktemp("p"), {"problem.yaml": content})
    lines: tuple[str, ...] = ()
    try:
        read_problem(root)
    except PackageError as error:
        lines = error.problems or ("no line",)
    assert all("\n" not in line and line.startswith(str(root)) for line in lines)
