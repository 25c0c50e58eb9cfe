"""What a package says of its generators: programs, and the commands that make inputs from seeds."""

from itertools import pairwise
from pathlib import Path

import pytest

from balancer.problem import Problem
from tests.unit.pipeline.packages import Files
from tests.unit.pipeline.packages import read as read_package


def read(tmp_path: Path, yaml: str, files: Files | None = None) -> Problem:
    programs = {"generators/gen.py": "gen", "generators/lib.py": "lib"}
    return read_package(tmp_path, {"generators/generators.yaml": yaml, **programs, **(files or {})})


def test_commands_with_a_seed_are_recipes_each_once(tmp_path):
    yaml = """
data:
  secret:
    data:
      - fixed: gen.py 5
      - {generate: "gen.py {seed:42} a  {count} {name}", count: 5}
      - group: {data: [{x: "gen.py {seed}", y: "gen.py {seed}", z: {in: "7"}}]}
"""
    first, second = read(tmp_path, yaml).recipes
    assert (first.name, first.program.source) == ("gen.py {seed:42} a  {count} {name}", "gen")
    assert (first.args, second.args) == (("{seed}", "a", "1", "testcase"), ("{seed}",))
    assert first.command(7).args == ("7", "a", "1", "testcase")


def test_generators_may_be_several_files_or_folders(tmp_path):
    yaml = """
generators: {tree: [gen.py, lib.py]}
data: {secret: {data: {a: "tree {seed}", b: "dir {seed}", c: "built {seed}", d: "gone {seed}"}}}
"""
    files = {"generators/dir/main.py": "m", "generators/dir/help.py": "h"}
    problem = read(tmp_path, yaml, {**files, "generators/built/build": "b", "generators/built/x.c": "x"})
    tree, folder, built = (recipe.program for recipe in problem.recipes)
    assert (tree.source, tree.extras) == ("gen", (("lib.py", b"lib"),))
    assert (folder.source, folder.extras) == ("m", (("help.py", b"h"),))
    assert (built.language, built.extras) == ("folder", (("build", b"b"), ("x.c", b"x")))
    assert problem.left_out == {"generators/gone": "missing, but generators.yaml calls it; add it"}


def test_without_commands_the_programs_are_tried_with_a_seed(tmp_path):
    files = {"generators/gen.py": "gen", "generators/README.md": "how", "generators/all.xyz": "x"}
    (recipe,) = read_package(tmp_path, files).recipes
    assert (recipe.name, recipe.args) == ("generators/gen.py", ("{seed}",))


_BOMB = "x: &a {data: {}}\n" + "".join(
    f"y{new}: &{new} {{data: {{{', '.join(f'k{n}: *{old}' for n in range(9))}}}}}\n"
    for old, new in pairwise("abcdefghij")
)


@pytest.mark.parametrize(
    ("yaml", "left_out"),
    [
        ("data: [", "is not YAML"),
        ("data: [a, 7]", ""),
        ("data: &d {secret: {data: {a: *d, b: &b {data: {c: *b}}}}}", ""),  # a circle
        (f"{_BOMB}data: {{secret: *j}}\n", ""),
    ],
    ids=["no yaml", "no groups", "a circle", "a bomb"],
)
def test_odd_recipes_make_nothing_and_take_no_time(tmp_path, yaml, left_out):
    problem = read(tmp_path, yaml)
    assert problem.recipes == ()
    assert left_out in problem.left_out.get("generators/generators.yaml", "")
