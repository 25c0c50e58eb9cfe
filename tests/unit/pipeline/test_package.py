"""Reading problem packages that are in order."""

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Protocol

import pytest

from balancer.pipeline.packages.fingerprint import fingerprint
from balancer.pipeline.packages.read import find_packages, read_packages, read_problem
from balancer.problem import Checker, Origin, Problem, Proposal, Submission
from balancer.program import Program


class Make(Protocol):
    def __call__(self, files: Mapping[str, str | bytes], name: str = "sum") -> Path: ...


SMALL: dict[str, str | bytes] = {
    "problem.yaml": "name: Sum\n",
    "data/sample/1.in": "1 2\n",
    "data/sample/1.ans": "3\n",
    "submissions/accepted/sum.py": "print(sum(map(int, input().split())))\n",
    "input_validators/check.py": "import sys; sys.exit(42)\n",
}


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Return a function that writes a small package, with more or other files, and returns its path."""

    def write(files: Mapping[str, str | bytes], name: str = "sum") -> Path:
        for path, content in {**SMALL, **files}.items():
            file = tmp_path / name / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content if isinstance(content, bytes) else content.encode())
        return tmp_path / name

    return write


def test_a_small_package(make: Make) -> None:
    path = make({})
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


def test_limits_flags_and_names(make: Make) -> None:
    problem = read_problem(
        make(
            {
                "problem.yaml": "name: {sv: Summa, en: Sum of two}\nlimits: {time_limit: 1.5, memory: 64}\n"
                "validation: default\nvalidator_flags: case_sensitive float_tolerance 1e-6\n",
                ".timelimit": "7\n",
            }
        )
    )
    assert problem.name == "Sum of two"
    assert problem.time_limit_s == 1.5
    assert problem.memory_bytes == 64 * 2**20
    assert problem.checker == Checker(None, ("case_sensitive", "float_tolerance", "1e-6"))


def test_the_legacy_time_limit_file(make: Make) -> None:
    assert read_problem(make({".timelimit": " 2.5\n"})).time_limit_s == 2.5


def test_data_is_in_natural_order_samples_first(make: Make) -> None:
    files = ("sample/10.in", "secret/b/2.in", "secret/a/1.in", "sample/2.in", "secret/b/10.in", "secret/b/1.in")
    problem = read_problem(make({f"data/{file}": f"{file}\n" for file in files}))
    details = [proposal.origin.detail for proposal in problem.data]
    assert details[:3] == ["sample/1.in", "sample/2.in", "sample/10.in"]
    assert details[3:] == ["secret/a/1.in", "secret/b/1.in", "secret/b/2.in", "secret/b/10.in"]
    assert all(proposal.sample for proposal in problem.data)
    assert [proposal.answer for proposal in problem.data] == [b"3\n", None, None, None, None, None, None]


def test_binary_data_is_kept_byte_for_byte(make: Make) -> None:
    problem = read_problem(make({"data/sample/1.in": b"\xff\x00\r\n", "data/sample/1.ans": b""}))
    assert (problem.data[0].data, problem.data[0].answer) == (b"\xff\x00\r\n", b"")


def test_submissions_and_what_is_left_out(make: Make) -> None:
    problem = read_problem(
        make(
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
            }
        )
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
        "partially_accepted/half.py": "folder partially_accepted does not say right or wrong (some of a score)",
    }


@pytest.mark.parametrize("place", ["output_validators/check.cpp", "output_validator/check/main.cpp"])
def test_an_output_validator(make: Make, place: str) -> None:
    problem = read_problem(
        make({"problem.yaml": "validation: custom\nvalidator_flags: eps 7\n", place: "int main(){return 42;}"})
    )
    assert problem.checker == Checker(Program("cpp", "int main(){return 42;}", place), ("eps", "7"))
    assert problem.name == "sum"  # the folder's, as the package has none


def test_without_a_word_on_validation_an_output_validator_is_used(make: Make) -> None:
    assert read_problem(make({"output_validators/check.py": "1"})).checker.program is not None


def test_validators_of_all_kinds(make: Make) -> None:
    problem = read_problem(
        make(
            {
                "input_validators/input.ctd": "INT(1, 5) NEWLINE EOF",
                "input_validators/input.viva": "{ x(x > 0) }",
                "input_validators/odd.xyz": "?",
                "input_format_validators/more.py": "2",
                "answer_validators/answer.py": "3",
            }
        )
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
        "input_validators/input.viva": "nothing here runs viva",
        "input_validators/odd.xyz": "no known language has the extension '.xyz'",
    }


def test_flags_of_all_data_groups_hold_for_the_problem(make: Make) -> None:
    problem = read_problem(
        make(
            {
                "data/testdata.yaml": "output_validator_flags: float_tolerance 1e-4\ninput_validator_flags: --n 9\n",
                "data/secret/1.in": "4 5\n",
            }
        )
    )
    assert problem.checker.flags == ("float_tolerance", "1e-4")
    assert problem.input_validators[0].args == ("--n", "9")


def test_groups_of_the_2023_07_format(make: Make) -> None:
    problem = read_problem(
        make(
            {
                "problem.yaml": "problem_format_version: 2023-07\ntype: pass-fail\nname: Sum\n",
                "data/test_group.yaml": "output_validator_args: [case_sensitive]\n",
            }
        )
    )
    assert problem.checker.flags == ("case_sensitive",)


def test_a_link_inside_the_package_is_followed(make: Make) -> None:
    path = make({})
    os.symlink("1.in", path / "data/sample/2.in")
    assert [proposal.data for proposal in read_problem(path).data] == [b"1 2\n", b"1 2\n"]


def test_reading_runs_nothing(make: Make, tmp_path: Path) -> None:
    trap = f"open({str(tmp_path / 'ran')!r}, 'w')\n"
    path = make(dict.fromkeys(("submissions/accepted/sum.py", "input_validators/check.py"), trap))
    (path / "build").write_text("#!/bin/sh\ntouch ran\n")
    read_problem(path)
    assert not (tmp_path / "ran").exists()


def test_a_folder_of_packages(make: Make, tmp_path: Path) -> None:
    for name in ("zeta", "alpha", "beta"):
        make({}, name)
    (tmp_path / "README.md").write_text("packages")
    (tmp_path / "notes").mkdir()
    read = read_packages(tmp_path)
    assert [(place, problem.id) for place, problem in read.problems] == [(0, "alpha"), (1, "beta"), (2, "zeta")]
    assert read.left_out == ()
    assert [problem.id for _, problem in read_packages(tmp_path / "beta").problems] == ["beta"]
    assert find_packages(str(tmp_path / "beta")) == [tmp_path / "beta"]


def test_a_package_named_by_a_dot(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(make({}))
    assert read_problem(".").id == "sum"


# -- fingerprint ---------------------------------------------------------------------------------------

CHANGES: dict[str, Mapping[str, str | bytes]] = {
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
        "generators/generators.yaml": "data: {secret: {data: {a: gen.py 1}}}",
        "generators/gen.py": "print(1)",
    },
}


def test_everything_that_matters_changes_the_fingerprint(make: Make) -> None:
    prints = {fingerprint(read_problem(make({}, "unchanged")))}
    for index, files in enumerate(CHANGES.values()):
        prints.add(fingerprint(read_problem(make(files, f"changed-{index}"))))
    assert len(prints) == 1 + len(CHANGES)
    assert all(len(found) == 64 for found in prints)


def test_names_places_and_left_out_submissions_do_not_change_the_fingerprint(make: Make) -> None:
    same = {"problem.yaml": "name: Another\n", "submissions/accepted/X.xyz": "x", "notes.txt": "x"}
    plain, other = read_problem(make({}, "a")), read_problem(make(same, "b"))
    assert fingerprint(plain) == fingerprint(other)


def test_data_cannot_be_moved_between_input_and_answer_unnoticed(make: Make) -> None:
    problem = read_problem(make({}))
    one = replace(problem, data=(Proposal(b"ab", Origin("data", ""), b"c"),))
    other = replace(problem, data=(Proposal(b"a", Origin("data", ""), b"bc"),))
    assert fingerprint(one) != fingerprint(other)
