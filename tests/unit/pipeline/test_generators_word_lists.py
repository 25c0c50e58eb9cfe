"""Lists of words: their lengths, words composed of listed ones, and shares of words that programs name."""

import random
import tracemalloc
from dataclasses import replace
from itertools import islice, repeat

import pytest

from balancer.pipeline.generators.draw.repair import distinct_words
from balancer.pipeline.generators.draw.styles import MOST, Size, Style
from balancer.pipeline.generators.draw.values import Where
from balancer.pipeline.generators.learn.knowledge import Knowledge
from balancer.pipeline.generators.learn.named import is_composed
from balancer.pipeline.generators.learn.program_constants import constants_of
from balancer.pipeline.generators.learn.rules import Rule, RuleKind, holds
from balancer.pipeline.generators.learn.template import Count, LineNode, Repeat
from balancer.pipeline.generators.mutate import MutateGenerator
from balancer.pipeline.generators.write.build import build_changed, build_styled
from balancer.pipeline.generators.write.word_lists import has_word_lists, word_changes
from balancer.problem import Submission
from balancer.program import Program
from tests.unit.pipeline.knowing import known, problem

LARGE = Style("large", Size(MOST, MOST), (Where.FULL,))
SMALL = Style("small", Size(2, 5), (Where.TINY, Where.FULL))
TALK = ("dae ae ju traeligt va\n", "haer talar vi rikssvenska\n")
AT_MOST = "import re\nassert re.match('[a-z]{1,15}( [a-z]{1,15})*\\n', line)\nw = line.split()\nassert len(w) <= 80"
SONGS = (
    "4\nla\nli\nlop\nha\nlali lop\nha lila lop\nlopha la\n",
    "5\nmo\nla\nti\nred\nsun\nsunred la\nmola ti\nredsun ti mo\n",
)
LINES = (
    "import re\nassert 1 <= n <= 50\nassert re.match('[a-z]{1,7}\\n', x)\n"
    "assert re.match('([a-z]{1,90} )*[a-z]{1,90}\\n', y)\nassert len(y) <= 90"
)


def words_of(found: Knowledge, style: Style, count: int = 40) -> list[list[list[str]]]:
    made = islice(build_styled(found, repeat(style), random.Random(1)), count)
    return [[line.split() for line in data.decode().splitlines()] for _, data in made]


def changed(found: Knowledge, constants: tuple[int | str, ...], count: int) -> list[tuple[str, list[list[str]]]]:
    rng = random.Random(1)
    made = islice(build_changed(found, word_changes(found, constants, rng), rng), count)
    return [(detail, [line.split() for line in data.decode().splitlines()]) for detail, data in made]


def test_a_list_that_no_number_counts_is_as_long_as_the_validator_says() -> None:
    lengths = [len(lines[0]) for lines in words_of(known(*TALK, validator=AT_MOST), LARGE)]
    assert max(length for length in lengths if length < 1000) == 80
    assert 1 <= sum(length > 80 for length in lengths) <= 6, "the bound may be that of something else"
    assert max(map(len, (lines[0] for lines in words_of(known(*TALK), LARGE)))) > 1000, "without a validator"


def test_a_limit_may_be_that_of_the_line_until_a_longer_one_is_valid() -> None:
    found = known(*TALK, validator=AT_MOST)
    lines = [len(" ".join(lines[0])) for lines in words_of(found, LARGE)]
    assert 5 < sum(length <= 80 for length in lines) < 35
    longer = known(*TALK, " ".join(["traeligt"] * 10) + "\n", validator=AT_MOST)
    assert all(len(lines[0]) == 80 for lines in words_of(longer, LARGE))


def test_the_last_lines_are_a_text_though_no_number_counts_them() -> None:
    found = known(*SONGS)
    column, text = Repeat(Count(0), (LineNode((1,)),)), Repeat(Count(None, 3), (LineNode((), 2),))
    assert found.nodes == (LineNode((0,)), column, text)
    numbers = known("2\na\nb\n1 2\n3\n4 5 6\n", "1\na\n1\n2 7 8\n4 5\n")
    assert Count(None, 3) not in {node.count for node in numbers.nodes if isinstance(node, Repeat)}


def test_words_are_composed_of_those_listed_before() -> None:
    found = known(*SONGS, validator=LINES)
    rule = Rule(RuleKind.COMPOSED, (1, 2))
    found = replace(found, beliefs={rule: 1.0})
    telling = 0
    for style in (SMALL, LARGE):
        for lines in words_of(found, style):
            count = int(lines[0][0])
            pieces = frozenset(line[0] for line in lines[1 : count + 1])
            text = [word for line in lines[count + 1 :] for word in line]
            assert all(is_composed(word, pieces) for word in text)
            assert len(lines) == count + 4
            telling += sum(word not in pieces for word in text)
    assert telling > 100
    broken = found.read(b"2\nla\nli\nlali la\nlil\nla\n")
    assert broken is not None
    assert not holds(rule, broken)


def test_single_letters_compose_anything_by_chance_and_a_list_with_a_word_twice_lists_nothing() -> None:
    letters = [f"6\na\nb\nc\nd\ne\nf\n{text}" for text in ("face cab\nbad\ndeaf fed\n", "bed\ncafe fade\nbee dad\n")]
    twice = ["3\nla\nla\nli\nlali la\nlili\nla li lali\n", "2\nlo\nlo\nlolo lo\nlo\nlololo lolo\n"]
    for samples in (letters, twice):
        assert all(rule.kind is not RuleKind.COMPOSED for rule in known(*samples).beliefs)


@pytest.mark.parametrize("constants", [(4, 10, "ae"), (40, "ae")])
def test_some_words_have_the_one_that_programs_name_also_where_a_fraction_is_just_met(
    constants: tuple[int | str, ...],
) -> None:
    near = twice = most = 0
    for detail, (words,) in changed(known(*TALK, validator=AT_MOST), constants, 600):
        assert detail.startswith("words a: ")
        assert 1 <= len(words) <= 80
        having = 10 * sum("ae" in word for word in words)
        near += len(words) > 40 and abs(having - 4 * len(words)) < 10
        twice += having < 4 * len(words) <= 10 * " ".join(words).count("ae")
        most += len(words) == 80
    assert near >= 6
    assert min(twice, most) >= 3


def test_words_are_joined_and_split_and_letters_are_cut_off() -> None:
    made = changed(known(*TALK, validator=AT_MOST), (), 200)
    samples = [text.split() for text in TALK]
    for detail, step in (("two joined", -1), ("one split", 1)):
        lists = [words for told, (words,) in made if told.endswith(detail)]
        assert lists
        assert all("".join(words) in ["".join(each) for each in samples] for words in lists)
        assert any(len(words) == len(each) + step for words in lists for each in samples)
    assert any("haerhaer" in words for _, (words,) in made)
    assert any("traelig" in words for _, (words,) in made)


def test_counted_lists_keep_their_number_and_names_stay() -> None:
    found = known("2\nab cdx\n", "4\nab cd efo gh\n")
    lists = [(int(count), words) for _, ((count,), words) in changed(found, ("ab", 7), 200)]
    assert all(count == len(words) for count, words in lists)
    assert {count for count, _ in lists} >= {2, 3, 4, 6, 8}
    named = known("3 2\nAda\nBob\nEve\nAda Bob\nEve Ada\n", "4 3\nAda\nBob\nEve\nJim\nJim Bob\nEve Ada\nBob Eve\n")
    assert not has_word_lists(named)
    assert list(word_changes(named, (), random.Random(1))) == []


def test_a_text_of_composed_words_is_cut_anew_where_its_pieces_allow() -> None:
    found = known(*SONGS, validator=LINES)
    found = replace(found, beliefs=dict.fromkeys(found.beliefs, 1.0))
    samples = [[line.split() for line in song.splitlines()] for song in SONGS]
    short = apart = 0
    made = changed(found, ("zz", 5), 100)
    for _, lines in made:
        pieces = frozenset(line[0] for line in lines[1 : int(lines[0][0]) + 1])
        assert all(is_composed(word, pieces) for line in lines[-3:] for word in line)
        short += all(len(" ".join(line)) <= 90 for line in lines[-3:])
        sample = next((each for each in samples if each[:-3] == lines[:-3]), lines)
        apart += all(line != other for line, other in zip(lines[-3:], sample[-3:], strict=True))
    assert short > 95, "the limit seems to be that of a line"
    assert apart > 10, "all lines are new"


def test_letters_that_a_program_compares_one_after_the_other_are_a_word() -> None:
    source = "if (w[i] == 'a' && w[i + 1] == 'e') ++n; puts(\"no\"); x('q'); y(\"\"); z('b', 'c', 'd')"
    assert constants_of((Submission("a.cpp", Program("cpp", source), False, ""),)) == ("ae", "bcd", "no", "q")[:3]


def test_words_of_the_greatest_length_become_distinct_too() -> None:
    words = distinct_words(["abc"] * 9, "abc", 3)
    assert len(set(words)) == 9
    assert {len(word) for word in words} == {3}


def test_lists_of_words_are_proposed() -> None:
    wrong = Submission("b.py", Program("python", "x('ae', 4, 10)"), False, "")
    asked = replace(problem(*TALK, validator=AT_MOST), submissions=(wrong,))
    proposed = MutateGenerator().propose(asked, random.Random(1), 20)
    assert any(each.origin.detail.startswith("words a: ") and b"ae" in each.data for each in proposed)


def test_lists_without_repeats_stay_so() -> None:
    found = known("ab cd ef gh\n", "ef ij\n", validator="# distinct\nassert len(w) <= 100")
    assert all(len(set(words)) == len(words) for _, (words,) in changed(found, ("ab", 7), 100))


def test_long_words_are_cut_at_some_places_only() -> None:
    found = known("3\nab\ncdx\n" + "abcd" * 5000 + "\n")
    tracemalloc.start()
    made = list(islice(word_changes(found, (), random.Random(1)), 40))
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert any(detail.endswith("one split") for detail, _ in made)
    assert most < 50_000_000


def test_nothing_is_composed_of_no_words() -> None:
    found = replace(known(*SONGS, validator=LINES), beliefs={Rule(RuleKind.COMPOSED, (1, 2)): 1.0})
    nothing = [("none", {(0, ()): ["0"], (1, ()): list[str](), (2, (0,)): ["ab"]})]
    assert list(build_changed(found, nothing, random.Random(1))) == []
