"""Reading problem packages that are in order."""

import tracemalloc
from dataclasses import replace
from pathlib import Path

import pytest

from balancer.pipeline.packages.fingerprint import fingerprint
from balancer.pipeline.packages.read import find_packages, read_packages, read_problem
from balancer.problem import Checker, Origin, Problem, Proposal, Submission
from balancer.program import Program
from tests.unit.pipeline.packages import Files, read, write


def test_a_small_package(tmp_path):
    path = write(tmp_path / "sum", {})
    problem = read_problem(path)
    assert problem == Problem(
        id="sum",
        name="Sum",
        path=path,
        time_limit_s=None,
        memory_bytes=None,
        data=(Proposal(b"1 2\n", Origin("data", "sample/1.in"), b"3\n", sample=True),),
        input_validators=(Program("python", "import sys; sys.exit(42)\n", "input_validators/check.py"),),
        checker=Checker(),
        submissions=(
            Submission(
                "accepted/sum.py",
                Program("python", "print(sum(map(int, input().split())))\n", "submissions/accepted/sum.py"),
                accepted=True,
                expected="accepted",
            ),
        ),
        left_out={},
        packaged=True,
    )


def test_limits_flags_and_names(tmp_path):
    problem = read(
        tmp_path,
        {
            "problem.yaml": "name: {sv: Summa, en: Sum of two}\nlimits: {time_limit: 1.5, memory: 64}\n"
            "validation: default\nvalidator_flags: case_sensitive float_tolerance 1e-6\n",
            ".timelimit": "7\n",
        },
    )
    assert problem.name == "Sum of two"
    assert problem.time_limit_s == 1.5
    assert problem.memory_bytes == 64 * 2**20
    assert problem.checker == Checker(None, ("case_sensitive", "float_tolerance", "1e-6"))


def test_data_is_in_natural_order_samples_first(tmp_path):
    files = ("sample/10.in", "secret/b/2.in", "secret/a/1.in", "sample/2.in", "secret/b/10.in", "secret/b/1.in")
    problem = read(tmp_path, {f"data/{file}": f"{file}\n" for file in files})
    details = [proposal.origin.detail for proposal in problem.data]
    assert details[:3] == ["sample/1.in", "sample/2.in", "sample/10.in"]
    assert details[3:] == ["secret/a/1.in", "secret/b/1.in", "secret/b/2.in", "secret/b/10.in"]
    assert all(proposal.sample for proposal in problem.data)
    assert [proposal.answer for proposal in problem.data] == [b"3\n", None, None, None, None, None, None]


def test_submissions_and_what_is_left_out(tmp_path):
    problem = read(
        tmp_path,
        {
            "submissions/accepted/a.cpp": "int main(){}",
            "submissions/accepted/B.java": "class B {}",
            "submissions/accepted/readme": "hello",
            "submissions/wrong_answer/two/one.py": "1",
            "submissions/wrong_answer/two/two.py": "2",
            "submissions/wrong_answer/one/main.cc": '#include "my.h"\nint main(){return x;}',
            "submissions/wrong_answer/one/my.h": "int x = 1;",
            "submissions/wrong_answer/.gitkeep": "",
            "submissions/time_limit_exceeded/slow.py3": "while 1: pass",
            "submissions/run_time_error/crash.cxx": "int main(){abort();}",
            "submissions/partially_accepted/half.py": "3",
        },
    )
    assert [(s.name, s.program.language, s.accepted, s.expected) for s in problem.submissions] == [
        ("accepted/B.java", "java", True, "accepted"),
        ("accepted/a.cpp", "cpp", True, "accepted"),
        ("accepted/sum.py", "python", True, "accepted"),
        ("wrong_answer/one", "cpp", False, "wrong_answer"),
        ("time_limit_exceeded/slow.py3", "python", False, "time_limit_exceeded"),
        ("run_time_error/crash.cxx", "cpp", False, "run_time_error"),
    ]
    one = problem.submissions[3].program
    assert (one.source, one.extras) == ('#include "my.h"\nint main(){return x;}', (("my.h", b"int x = 1;"),))
    assert problem.left_out == {
        "accepted/readme": "no known language has the extension '(none)'",
        "wrong_answer/two": "the folder has 2 sources, and none of them is called main or __main__",
        "partially_accepted/half.py": "folder partially_accepted does not say right or wrong",
    }


@pytest.mark.parametrize("place", ["output_validators/check.cpp", "output_validator/check/main.cpp"])
def test_an_output_validator(tmp_path, place):
    problem = read(
        tmp_path, {"problem.yaml": "validation: custom\nvalidator_flags: eps 7\n", place: "int main(){return 42;}"}
    )
    assert problem.checker == Checker(Program("cpp", "int main(){return 42;}", place), ("eps", "7"))
    assert problem.name == "sum"  # the folder's, as the package has none


def test_validators_of_all_kinds(tmp_path):
    problem = read(
        tmp_path,
        {
            "input_validators/input.ctd": "INT(1, 5) NEWLINE EOF",
            "input_validators/input.viva": "{ x(x > 0) }",
            "input_validators/odd.xyz": "?",
            "input_format_validators/more.py": "2",
            "answer_validators/answer.py": "3",
        },
    )
    assert [program.name for program in problem.input_validators] == [
        "input_validators/check.py",
        "input_validators/input.ctd",
        "input_format_validators/more.py",
    ]
    assert problem.grammars == {
        "input_validators/input.ctd": "INT(1, 5) NEWLINE EOF",
        "input_validators/input.viva": "{ x(x > 0) }",
    }
    assert problem.left_out == {
        "input_validators/input.viva": "balancer does not run viva grammars",
        "input_validators/odd.xyz": "no known language has the extension '.xyz'",
    }


def test_reading_runs_nothing(tmp_path):
    trap = f"open({str(tmp_path / 'ran')!r}, 'w')\n"
    programs = ("submissions/accepted/sum.py", "input_validators/check.py")
    path = write(tmp_path / "sum", dict.fromkeys(programs, trap))
    (path / "build").write_text("#!/bin/sh\ntouch ran\n")
    read_problem(path)
    assert not (tmp_path / "ran").exists()


def test_a_folder_of_packages(tmp_path):
    for name in ("zeta", "alpha", "beta"):
        write(tmp_path / name, {})
    (tmp_path / "README.md").write_text("packages")
    (tmp_path / "notes").mkdir()
    found = read_packages(tmp_path)
    assert [(place, problem.id) for place, problem in found.problems] == [(0, "alpha"), (1, "beta"), (2, "zeta")]
    assert found.left_out == ()
    assert [problem.id for _, problem in read_packages(tmp_path / "beta").problems] == ["beta"]
    assert find_packages(str(tmp_path / "beta")) == [tmp_path / "beta"]


# -- a check looks at data and does not keep it: memory does not grow with it ----------------------------


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


def test_two_hundred_megabytes_take_none(tmp_path):
    for name in ("a", "b"):
        write(tmp_path / name, {})
        for number in range(5):
            sparse(tmp_path / name / f"data/secret/{number}.in", 10 * 2**20)
            sparse(tmp_path / name / f"data/secret/{number}.ans", 9 * 2**20)
        sparse(tmp_path / name / "data/secret/0.files/table", 10 * 2**20)
    assert peak_of(tmp_path, whole=False) < 20 * 2**20
    assert peak_of(tmp_path, whole=True) > 190 * 2**20  # what a run holds: the measure measures


# -- fingerprint ---------------------------------------------------------------------------------------

CHANGES: dict[str, Files] = {
    "data": {"data/sample/1.in": "1 3\n"},
    "answer": {"data/sample/1.ans": "4\n"},
    "more data": {"data/sample/2.in": "1 3\n"},
    "submission": {"submissions/accepted/sum.py": "print(3)\n"},
    "another submission": {"submissions/wrong_answer/sum.py": "print(3)\n"},
    "validator": {"input_validators/check.py": "import sys; sys.exit(43)\n"},
    "flags": {"problem.yaml": "name: Sum\nvalidator_flags: case_sensitive\n"},
    "time limit": {"problem.yaml": "name: Sum\nlimits: {time_limit: 2}\n"},
    "memory": {"problem.yaml": "name: Sum\nlimits: {memory: 64}\n"},
    "checker": {"output_validators/check.py": "import sys; sys.exit(42)\n"},
    "validator flags": {"data/testdata.yaml": "input_validator_flags: --strict\n"},
    "flags of one input": {"data/sample/1.yaml": "args: [-x]\n"},
    "a further file": {"input_validators/check.py": "x", "submissions/accepted/sum/main.py": "1"},
    "a generator": {
        "generators/generators.yaml": "data: {secret: {data: {a: 'gen.py {seed}'}}}",
        "generators/gen.py": "print(1)",
    },
}


def test_everything_that_matters_changes_the_fingerprint(tmp_path):
    prints = {fingerprint(read_problem(write(tmp_path / "unchanged", {})))}
    for index, files in enumerate(CHANGES.values()):
        prints.add(fingerprint(read_problem(write(tmp_path / f"changed-{index}", files))))
    assert len(prints) == 1 + len(CHANGES)
    assert all(len(found) == 64 for found in prints)


def test_names_places_and_left_out_submissions_do_not_change_the_fingerprint(tmp_path):
    same = {"problem.yaml": "name: Another\n", "submissions/accepted/X.xyz": "x", "notes.txt": "x"}
    plain, other = read_problem(write(tmp_path / "a", {})), read_problem(write(tmp_path / "b", same))
    assert fingerprint(plain) == fingerprint(other)


def test_data_cannot_be_moved_between_input_and_answer_unnoticed(tmp_path):
    problem = read(tmp_path, {})
    one = replace(problem, data=(Proposal(b"ab", Origin("data", ""), b"c"),))
    other = replace(problem, data=(Proposal(b"a", Origin("data", ""), b"bc"),))
    assert fingerprint(one) != fingerprint(other)
