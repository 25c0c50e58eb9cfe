"""Packages in the shapes that archives have them in: versions, programs of many files, flags, statements."""

import subprocess
import sys

import pytest

from balancer.pipeline.packages.grammars import checktestdata_program
from balancer.problem import CaseOptions, Origin
from balancer.program import Program
from tests.unit.pipeline.packages import GONE, Files, read

# -- versions ------------------------------------------------------------------------------------------


def test_a_version_to_come_is_read_as_the_newest_with_a_note(tmp_path):
    for version in ("legacy", "legacy-icpc", "2023-07", "2025-09", "draft"):
        assert read(tmp_path, {"problem.yaml": f"problem_format_version: {version}\n"}).notes == ()
    problem = read(tmp_path, {"problem.yaml": "problem_format_version: 2031-01\n"})
    assert problem.notes == ("its problem_format_version is '2031-01'; it is read as 2025-09",)


LIMITS: list[tuple[Files, float | None]] = [
    ({"problem.yaml": "limits: {time_limit: 1.5}\n", ".timelimit": "3"}, 1.5),
    ({".timelimit": "3\n", "domjudge-problem.ini": "timelimit = 7\n"}, 3.0),
    ({"domjudge-problem.ini": "probid = A\ntimelimit = '4.5'\ncolor=\"red\"\n"}, 4.5),
    ({"problem.yaml": "limits: {time_multipliers: {ac_to_time_limit: 3}, time_resolution: 0.5}\n"}, None),
]


@pytest.mark.parametrize(("files", "seconds"), LIMITS)
def test_time_limits_in_all_spellings(tmp_path, files, seconds):
    assert read(tmp_path, files).time_limit_s == seconds


# -- programs of many files ----------------------------------------------------------------------------


def test_an_output_validator_is_one_program_of_many_files(tmp_path):
    files = {
        "problem.yaml": "problem_format_version: 2025-09\n",
        "output_validator/validate.cc": '#include "validate.h"\nint main() { return judge(); }',
        "output_validator/judge.cc": '#include "validate.h"\nint judge() { return 42; }',
        "output_validator/validate.h": "int judge();",
        "output_validator/words.bin": b"\xff\x00",
    }
    assert read(tmp_path, files).checker.program == Program(
        "cpp",
        '#include "validate.h"\nint main() { return judge(); }',
        "output_validator/validate.cc",
        extras=(
            ("judge.cc", b'#include "validate.h"\nint judge() { return 42; }'),
            ("validate.h", b"int judge();"),
            ("words.bin", b"\xff\x00"),
        ),
    )


def test_folders_that_say_how_they_are_built_and_run(tmp_path):
    files = {
        "input_validators/check.py": GONE,
        "input_validators/made/build": "#!/bin/sh\nc++ -o run x.cpp\n",
        "input_validators/made/x.cpp": "int main() { return 42; }",
        "input_validators/plain/run": "#!/bin/sh\nexit 42\n",
    }
    made, plain = read(tmp_path, files).input_validators
    assert (made.language, made.source, made.name) == ("folder", "", "input_validators/made")
    assert [name for name, _ in made.extras] == ["build", "x.cpp"]
    assert (plain.language, plain.source) == ("folder", "#!/bin/sh\nexit 42\n")
    assert plain.extras == (("run", b"#!/bin/sh\nexit 42\n"),)


def test_submissions_of_many_files_begin_where_they_say_or_in_main(tmp_path):
    files = {
        "submissions/accepted/py/__main__.py": "import lib",
        "submissions/accepted/py/lib.py": "",
        "submissions/accepted/told/a.py": "A = 1",
        "submissions/accepted/told/b.py": "import a",
        "submissions/accepted/java/Other.java": "class Other {}",
        "submissions/accepted/java/Sum.java": "class Sum { public static void main(String[] a) {} }",
        "submissions/accepted/spoken": "print(3)",
        "submissions/wrong_answer/nobody/a.py": "1",
        "submissions/wrong_answer/nobody/b.py": "2",
        "submissions/wrong_answer/both/a.py": "1",
        "submissions/wrong_answer/both/b.rs": "2",
        "submissions/submissions.yaml": "accepted/told: {entrypoint: b.py}\naccepted/spoken: {language: python3}\n",
    }
    problem = read(tmp_path, files)
    begins = {submission.name: submission.program.name for submission in problem.submissions}
    assert begins == {
        "accepted/java": "submissions/accepted/java/Sum.java",
        "accepted/py": "submissions/accepted/py/__main__.py",
        "accepted/spoken": "submissions/accepted/spoken",
        "accepted/sum.py": "submissions/accepted/sum.py",
        "accepted/told": "submissions/accepted/told/b.py",
    }
    assert problem.left_out == {
        "wrong_answer/nobody": "the folder has 2 sources, and none of them is called main or __main__",
        "wrong_answer/both": "the folder has sources in several languages (python, rust); one is allowed",
    }


@pytest.mark.parametrize(
    ("source", "language"),
    [
        ("#!/usr/bin/env perl\nprint <>;\n", "perl"),
        ("# " + "a comment " * 50 + "\nmy ($n) = <STDIN>;\nprint 2 * $n;\n", "perl"),
        (
            ":- use_module(library(readutil)).\nmain :- read_term(user_input, X, []), my(X), Y is 2 * X, write(Y).\n",
            "prolog",
        ),
    ],
)
def test_a_pl_is_perl_by_its_words_and_prolog_otherwise(tmp_path, source, language):
    problem = read(tmp_path, {"submissions/accepted/old.pl": source})
    assert {each.program.language for each in problem.accepted} >= {language}


def test_included_files_go_with_every_submission_of_their_language(tmp_path):
    files = {
        "include/default/data.txt": "d",
        "include/python3/grader.py": "g",
        "include/cpp/grader.h": "h",
        "submissions/wrong_answer/a.cpp": "int main() {}",
        "submissions/wrong_answer/b.rs": "fn main() {}",
    }
    extras = {s.name: s.program.extras for s in read(tmp_path, files).submissions}
    assert extras == {
        "accepted/sum.py": (("data.txt", b"d"), ("grader.py", b"g")),
        "wrong_answer/a.cpp": (("data.txt", b"d"), ("grader.h", b"h")),
        "wrong_answer/b.rs": (("data.txt", b"d"),),
    }


def test_an_included_driver_is_what_the_program_begins_in(tmp_path):
    files = {
        "include/python3/__main__.py": "import sum",
        "include/cpp/driver.cpp": "int sum(); int main() { return sum(); }",
        "submissions/wrong_answer/a.cpp": "int sum() { return 1; }",
        "submissions/wrong_answer/b.cpp": "int main() { return 1; }",
    }
    begins = {s.name: s.program.name for s in read(tmp_path, files).submissions}
    assert begins == {
        "accepted/sum.py": "submissions/accepted/sum.py/__main__.py",
        "wrong_answer/a.cpp": "submissions/wrong_answer/a.cpp/driver.cpp",
        "wrong_answer/b.cpp": "submissions/wrong_answer/b.cpp",
    }


def test_constants_are_put_in(tmp_path):
    files = {
        "problem.yaml": "constants: {n: 5, eps: {value: 1e-6, tex: '10^{-6}'}}\n",
        "input_validators/check.py": "N = {{n}}; M = {{other}}",
        "input_validators/format.ctd": "INT(1, {{n}}) NEWLINE",
        "submissions/accepted/sum.py": "print('{{eps.tex}}')",
        "data/secret/test_group.yaml": "output_validator_args: [float_tolerance, '{{eps}}']\n",
        "data/secret/1.in": "{{n}}",
        "data/secret/2.in": "2",
        "statement/problem.en.tex": r"at most \constant{n}, or {{n}}",
    }
    problem = read(tmp_path, files)
    assert problem.input_validators[0].source == "N = 5; M = {{other}}"
    assert problem.grammars == {"input_validators/format.ctd": "INT(1, 5) NEWLINE"}
    assert problem.accepted[0].program.source == "print('10^{-6}')"
    assert problem.checker.flags == ("float_tolerance", "1e-6")
    assert problem.data[1].data == b"{{n}}"
    assert problem.statement == "at most 5, or 5"


# -- what inputs are told ------------------------------------------------------------------------------


def test_what_is_no_input_is_passed_over(tmp_path):
    names = ("1.hint", "1.desc", "1.png", "1.interaction", "2.interaction", "1.in.statement", "1.ans.statement")
    names += ("1.in.download", "1.ans.download", "1.out")
    files: Files = {f"data/sample/{name}": "x" for name in names}
    problem = read(tmp_path, {**files, "data/invalid_input/1.in": "x"})
    assert [proposal.origin for proposal in problem.data] == [Origin("data", "sample/1.in")]
    assert (problem.left_out, problem.options) == ({}, {})


def test_groups_that_tell_different_things_are_each_told_their_own(tmp_path):
    files = {
        "data/testdata.yaml": "input_validator_flags: -n 9\n",
        "data/secret/a/testdata.yaml": "input_validator_flags: -n 5\noutput_validator_flags: case_sensitive\n",
        "data/secret/a/1.in": "1",
        "data/secret/a/2.in": "2",
        "data/secret/b/1.in": "3",
        "data/secret/b/2.in": "4",
        "data/secret/b/2.yaml": "input_validator_args: {check.py: [only]}\nargs: [-x]\n",
    }
    problem = read(tmp_path, files)
    assert problem.input_validators[0].args == ("-n", "9")  # of four: two each, and those of b come last
    assert problem.checker.flags == ()
    name = "input_validators/check.py"
    assert problem.options == {
        "secret/a/1.in": CaseOptions({name: ("-n", "5")}, ("case_sensitive",)),
        "secret/a/2.in": CaseOptions({name: ("-n", "5")}, ("case_sensitive",)),
        "secret/b/2.in": CaseOptions({name: ("only", "-x")}, (), ("-x",)),
    }
    assert problem.notes == (
        "its groups have 3 different sets of validator flags: each input has its own, "
        "made-up ones have those of 2 of its 5 inputs (-n 9)",
    )


def test_flags_of_a_validator_that_is_named(tmp_path):
    files = {
        "input_validators/other.py": "x",
        "data/testdata.yaml": "input_validator_flags: {name: other.py, flags: -a 1}\n",
    }
    validators = read(tmp_path, files).input_validators
    assert [(program.name, program.args) for program in validators] == [
        ("input_validators/check.py", ()),
        ("input_validators/other.py", ("-a", "1")),
    ]


def test_wrong_flags_of_one_group_are_said(tmp_path):
    files = {
        "data/secret/a/testdata.yaml": "output_validator_flags: float_tolerance lots\n",
        "data/secret/a/1.in": "1",
        "data/secret/2.in": "2",
    }
    with pytest.raises(Exception, match="float_tolerance is 'lots'"):
        read(tmp_path, files)


# -- the rest ------------------------------------------------------------------------------------------

STATEMENTS: list[tuple[Files, str]] = [
    ({"problem_statement/problem.tex": "plain", "problem_statement/problem.fr.tex": "fr"}, "plain"),
    ({"problem_statement/problem.fr.tex": "fr", "problem_statement/problem.en.tex": "en"}, "en"),
    ({"statement/problem.en-GB.md": "en", "statement/problem.da.md": "da"}, "en"),
    ({"problem.tex": "beside"}, "beside"),
    ({"statement/problem.en.pdf": "%PDF", "statement/problem.fr.tex": "fr"}, "fr"),
    ({}, ""),
]


@pytest.mark.parametrize(("files", "statement"), STATEMENTS)
def test_the_statement_is_the_english_one_if_there_is_one(tmp_path, files, statement):
    assert read(tmp_path, files).statement == statement


@pytest.mark.parametrize(("accepted", "validators", "agrees"), [(2, 0, True), (1, 0, False), (2, 1, False)])
def test_agreement_stands_in_for_a_validator_that_is_missing(tmp_path, accepted, validators, agrees):
    files: dict[str, str | bytes] = {} if validators else {"input_validators/check.py": GONE}
    files.update({f"submissions/accepted/more{number}.py": "1" for number in range(accepted - 1)})
    assert read(tmp_path, files).by_agreement is agrees


@pytest.mark.parametrize(
    ("grammar", "said"),
    [
        (b"INT(1,10,n) NEWLINE\nREP(n)\n  INTT(1,2)\nEND\n", "is wrong: line 3: unknown token at 3:3 'INTT'"),
        (b"INT(1,10,n) NEWLINE\nREP(n)\n  INT(1,2)\n", "is wrong: line 3: unexpected end of file"),
        (b"NEWLINE\nASSERT(n ! 1)\n", "is wrong: line 2: "),
        (b"INT(1,10)\nINT(1,m)\n", "cannot be followed: line 2: INT(1,m): m is not assigned"),
    ],
)
def test_a_grammar_that_is_wrong_names_the_line(grammar, said):
    source = checktestdata_program("a.ctd", grammar).source
    ended = subprocess.run([sys.executable, "-c", source], input=b"3 4\n", capture_output=True, check=False)
    assert ended.returncode == 2
    assert ended.stderr.decode().startswith(f"the grammar {said}")
