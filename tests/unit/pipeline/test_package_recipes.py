"""What generators.yaml says: names, seeds, arguments, inputs as they stand. Seeds are those of a real package."""

from itertools import pairwise
from pathlib import Path

import pytest

from balancer.problem import Problem, Recipe
from tests.unit.pipeline.packages import GONE, Files
from tests.unit.pipeline.packages import read as read_package


def read(tmp_path: Path, yaml: str, files: Files | None = None) -> Problem:
    programs = {"generators/gen.py": "gen", "generators/lib.py": "lib"}
    return read_package(tmp_path, {"generators/generators.yaml": yaml, **programs, **(files or {})})


def test_a_program_with_arguments_and_a_seed_that_the_command_gives(tmp_path):
    yaml = """
data:
  secret:
    data:
      small: gen.py 5 {name}
      large:
        generate: stdout.py {seed} a  aa  b
        ans: "7"
"""
    small, large = reversed(read(tmp_path, yaml, {"generators/stdout.py": "out"}).recipes)
    assert small.program is not None
    assert (small.name, small.program.source, small.args) == ("secret/small.in", "gen", ("5", "testcase"))
    assert (small.missing, small.seeded, small.answer) == (True, False, None)
    assert (large.args, large.answer, large.seeded) == (("{seed}", "a", "aa", "b"), b"7\n", True)
    command = large.command(large.seed)
    assert command is not None
    assert command.args == ("2133905738", "a", "aa", "b")  # white space is part of the command, but not at its ends


def test_seeds_are_those_of_the_tools_that_packages_are_made_with(tmp_path):
    yaml = """
data:
  sample:
    data:
      - basic_seed: {generate: "stdout.py {seed}"}
      - whitespace: {generate: "stdout.py {seed} a  aa  b "}
      - seed-42: {generate: "stdout.py {seed:42}"}
      - random_salt: {generate: "stdout.py {seed:42}", random_salt: "bob"}
      - count: {generate: "stdout.py {seed} {count}", count: 5}
      - count-list: {generate: "stdout.py {seed:1} {count}", count: [-2, 0, 1, 2]}
      - count-range: {generate: "stdout.py {seed:2} {count}", count: -2..=3}
  secret: {data: []}
"""
    recipes = read(tmp_path, yaml, {"generators/stdout.py": "out"}).recipes
    assert {recipe.name: recipe.seed for recipe in recipes} == {
        "sample/01-basic_seed.in": 162981470,
        "sample/02-whitespace.in": 2133905738,
        "sample/03-seed-42.in": 1750401614,
        "sample/04-random_salt.in": 593058468,
        "sample/05-count-1.in": 256329547,
        "sample/06-count-2.in": 1581952888,
        "sample/07-count-3.in": 969404650,
        "sample/08-count-4.in": 1490385484,
        "sample/09-count-5.in": 498227416,
        "sample/10-count-list--2.in": 207342926,
        "sample/11-count-list-0.in": 627447910,
        "sample/12-count-list-1.in": 699508446,
        "sample/13-count-list-2.in": 2075121131,
        "sample/14-count-range--2.in": 458079516,
        "sample/15-count-range--1.in": 1599491640,
        "sample/16-count-range-00.in": 1577057647,
        "sample/17-count-range-01.in": 176819904,
        "sample/18-count-range-02.in": 2011330370,
        "sample/19-count-range-03.in": 839616175,
    }


def test_inputs_as_they_stand_groups_and_numbers(tmp_path):
    yaml = """
data:
  sample: {data: {"1": {in: "1 2"}}}
  secret:
    data:
      - one: {in: "5 6", ans: "11"}
      - group:
          test_group.yaml: {output_validator_args: [case_sensitive]}
          data:
            - ~: {copy: manual/big}
            - "":
                in: |
                  7
                  8
            - told: {in: "9", yaml: {input_validator_args: [-x]}}
  invalid_input: {data: {bad: {in: "x"}}}
"""
    manual = {"generators/manual/big.in": "100\n", "generators/manual/big.ans": "1\n", "data/secret/1-one.in": "5 6\n"}
    problem = read(tmp_path, yaml, manual)
    assert problem.recipes == (
        Recipe("sample/1.in", data=b"1 2\n"),
        Recipe("secret/1-one.in", data=b"5 6\n", answer=b"11\n"),
        Recipe("secret/1-group/2.in", data=b"100\n", answer=b"1\n", missing=True),
        Recipe("secret/1-group/3.in", data=b"7\n8\n", missing=True),
        Recipe("secret/1-group/4-told.in", data=b"9\n", missing=True),
    )
    assert problem.options["secret/1-group/2.in"].checker == ("case_sensitive",)
    assert problem.options["secret/1-group/4-told.in"].validators == {"input_validators/check.py": ("-x",)}


def test_a_generator_of_several_files_and_one_of_a_folder(tmp_path):
    yaml = """
generators: {tree: [gen.py, lib.py]}
data: {secret: {data: {a: "tree 1", b: "dir 2", c: "built 3", d: "gone 4"}}}
"""
    files = {
        "generators/dir/main.py": "m",
        "generators/dir/help.py": "h",
        "generators/built/build": "b",
        "generators/built/x.c": "x",
    }
    problem = read(tmp_path, yaml, files)
    tree, folder, built = (recipe.program for recipe in problem.recipes)
    assert tree is not None
    assert folder is not None
    assert built is not None
    assert (tree.source, tree.extras) == ("gen", (("lib.py", b"lib"),))
    assert (folder.source, folder.extras) == ("m", (("help.py", b"h"),))
    assert (built.language, built.extras) == ("folder", (("build", b"b"), ("x.c", b"x")))
    assert problem.left_out == {"generators/gone": "missing, but generators.yaml calls it; add it"}


def test_secret_data_that_is_not_committed_makes_a_package_whole(tmp_path):
    files: Files = {"data/sample/1.in": GONE, "data/sample/1.ans": GONE}
    problem = read(tmp_path, "data: {secret: {data: {a: gen.py 1}}}", files)
    assert problem.data == ()
    assert [recipe.missing for recipe in problem.recipes] == [True]


def test_without_recipes_the_programs_are_tried_with_a_seed(tmp_path):
    files = {"generators/gen.py": "gen", "generators/README.md": "how", "generators/all.xyz": "x"}
    (recipe,) = read_package(tmp_path, files).recipes
    assert (recipe.name, recipe.args, recipe.missing, recipe.seeded) == ("generators/gen.py", ("{seed}",), False, True)


ODD = {
    "a list": ("data: [a]", "generators/generators.yaml"),
    "no yaml": ("data: [", "generators/generators.yaml"),
    "neither": ("data: {secret: {data: {a: {out: x}}}}", "generators/generators.yaml: secret/a.in"),
    "out of it": (
        "data: {secret: {data: {a: {copy: ../../../etc/passwd}}}}",
        "generators/generators.yaml: secret/a.in",
    ),
    "a number": ("data: {secret: {data: {a: 7}}}", "generators/generators.yaml: secret/a.in"),
    "a circle": ("data: &d {secret: {data: {a: *d, b: &b {data: {c: *b}}}}}", "generators/generators.yaml"),
}


@pytest.mark.parametrize(("yaml", "left_out"), ODD.values(), ids=ODD)
def test_what_is_odd_is_left_out_by_name(tmp_path, yaml, left_out):
    problem = read(tmp_path, yaml)
    assert [*problem.left_out] == [left_out]
    assert problem.recipes == ()


def test_aliases_that_multiply_take_no_time(tmp_path):
    names = "abcdefghij"
    bomb = "x: &a {data: {}}\n" + "".join(
        f"y{new}: &{new} {{data: {{{', '.join(f'k{n}: *{old}' for n in range(9))}}}}}\n" for old, new in pairwise(names)
    )
    problem = read(tmp_path, f"{bomb}data: {{secret: *j}}\n")
    assert "more than 100000 groups" in problem.left_out["generators/generators.yaml"]
    many = read(tmp_path, "data: {secret: {data: {a: {in: x, count: 1000000000}, b: {in: y, count: 1..=9999999}}}}")
    assert len(many.recipes) == 200
