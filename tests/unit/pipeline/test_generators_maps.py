"""Maps: walls on the border but for a door, and letters that are rare in all known ones."""

import random
from dataclasses import replace
from itertools import islice, repeat

import pytest

from balancer.pipeline.generators.draw.repair import thinned, walled, with_letters
from balancer.pipeline.generators.draw.styles import Size, Style
from balancer.pipeline.generators.draw.values import How, Where
from balancer.pipeline.generators.learn.knowledge import Knowledge
from balancer.pipeline.generators.learn.rules import RuleKind, border_of
from balancer.pipeline.generators.mutate import MutateGenerator
from balancer.pipeline.generators.write.build import build_styled
from tests.unit.pipeline.knowing import known, problem

HOUSE = "4 6\n######\n#.P..#\n#..#.#\n##.###\n"
HALL = "5 12\n############\n#..........#\n#.#....P...#\n#....P......\n############\n"
STATEMENT = "Two numbers $n$ and $m$ ($3 \\leq n, m \\leq 30$), then $n$ lines of length $m$."


def openings(data: bytes) -> int:
    rows = data.decode().split()[2:]
    return sum(rows[row][at] != "#" for row, at in border_of(rows))


def drawn(found: Knowledge, style: Style, count: int = 80) -> list[bytes]:
    return [data for _, data in islice(build_styled(found, repeat(style), random.Random(1)), count)]


def walls(found: Knowledge) -> list[tuple[str, int | None]]:
    return [(rule.letter, rule.value) for rule in found.beliefs if rule.kind is RuleKind.WALLS]


def test_a_border_that_always_has_one_door_is_a_rule() -> None:
    assert walls(known(HOUSE, HALL)) == [("#", 1)]
    assert walls(known(HOUSE, HALL.replace("P......", "P.....#"))) == [], "one has a door, one has none"
    assert walls(known("3 3\n###\n#.#\n###\n")) == [], "so few cells are chance"
    assert walls(known(HOUSE.replace("##.###", "##D###"), HALL.replace("P......", "P.....D"))) == [], "a door once"
    assert walls(known(HALL, "4 6\n######\n######\n######\n#.####\n")) == [("#", 1)]


@pytest.mark.parametrize("size", [Size(3, 6), Size(30, 30)])
def test_drawn_maps_keep_it_with_doors_on_all_sides(size: Size) -> None:
    found = known(HOUSE, HALL, statement=STATEMENT)
    made = drawn(found, Style("some", size, (Where.FULL,)))
    assert sum(openings(data) == 1 for data in made) > 0.9 * len(made)
    rows = [data.decode().split()[2:] for data in made]
    assert all(
        {row[0] for row in each} | {row[-1] for row in each} | set(each[0]) | set(each[-1]) >= {"#"} for each in rows
    )
    assert {any(each[0][at] != "#" for at in range(len(each[0]))) for each in rows} == {False, True}


def test_a_letter_that_is_there_once_stays_within_the_walls() -> None:
    found = known(HOUSE, HALL.replace("...P...#", ".......#"), statement=STATEMENT)
    assert found.facts.fields[2].once == "P"
    found = replace(found, beliefs=dict.fromkeys(found.beliefs, 1.0))
    made = drawn(found, Style("some", Size(3, 4), (Where.FULL,)), 200)
    assert {data.count(b"P") for data in made} == {1}
    assert {openings(data) for data in made} == {1}


def test_changed_maps_keep_it() -> None:
    told = problem(HOUSE, HALL, statement=STATEMENT)
    made = list(MutateGenerator().propose(told, random.Random(1), 80))
    assert sum(" -> " in each.origin.detail for each in made) > 2
    assert sum(openings(each.data) == 1 for each in made) > 0.8 * len(made)


def test_a_letter_that_is_rare_in_all_known_maps_is_rare_in_large_ones_and_seldom_missing() -> None:
    found = known(HOUSE, HALL, statement=STATEMENT)
    assert found.facts.fields[2].rare == "P"
    large = [data.count(b"P") for data in drawn(found, Style("most", Size(30, 30), (Where.FULL,)))]
    assert sum(0 < count <= 60 for count in large) > 0.5 * len(large)
    assert max(large) > 100, "in some it is frequent: it may be"
    small = drawn(found, Style("tiny", Size(3, 5), (Where.TINY,), (How.EQUAL,)))
    assert sum(b"P" in data for data in small) > 0.8 * len(small)


def test_repairs_change_no_more_than_they_have_to() -> None:
    rng = random.Random(1)
    assert walled(["...", "...", "..."], "#", 0, ".#", rng) == ["###", "#.#", "###"]
    assert thinned(["aab", "ccb"], "a", "abc", 2, rng) == ["aab", "ccb"]
    assert "".join(thinned(["aab", "acb"], "a", "abc", 1, rng)).count("a") == 1
    assert with_letters(["...", "...", "..."], "x", rng) == ["...", ".x.", "..."]
    assert with_letters([".x", ".."], "y", rng) == [".x", ".."]


def test_lists_without_cells_inside_are_no_maps() -> None:
    column = "18\n" + "".join("YN"[at in (3, 9)] + "\n" for at in range(18))
    assert walls(known(column)) == []
    assert walls(known("20\n" + "Y " * 19 + "N\n")) == []
    assert walls(known("2 9\n.........\n....X....\n", "2 10\n..........\n.......X..\n")) == []
