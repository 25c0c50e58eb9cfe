"""Patterns of words: read out of regular expressions and seen words, and drawn."""

import random
import re

import pytest

from balancer.pipeline.generators.draw.values import DrawLimits, How, Where, draw_patterned
from balancer.pipeline.generators.learn.word_patterns import length_of, matches, read_patterns, seen_pattern
from balancer.pipeline.generators.mutate import MutateGenerator
from tests.unit.pipeline.knowing import known, problem

EXPRESSIONS = [
    (r"[+-][a-z]{1,15}", (2, 16)),
    (r"[A-Z][a-z]*", (1, 10**5)),
    (r"[a-z]([a-z ]*[a-z])?", (1, 10**5)),
    (r"[0-9]{4}-[01][0-9]-[0-3]\d", (10, 10)),
    (r"[a-z]+(\.[a-z]+){1,3}", (3, 10**5)),
    (r"(?:ab|[c-e]{2}x?)[01]", (3, 4)),
]


@pytest.mark.parametrize(("text", "lengths"), EXPRESSIONS)
def test_drawn_words_match_the_expression(text: str, lengths: tuple[int, int]) -> None:
    [(found, pattern)] = list(read_patterns(f"^{text}$"))
    assert (found, length_of(pattern)) == (text, lengths)
    rng = random.Random(1)
    for how in How:
        for where in (Where.FULL, Where.TINY, Where.LOW):
            drawn = draw_patterned(4, pattern, DrawLimits(lengths[0], min(lengths[1], 9), 2, 5), where, how, rng)
            assert len(drawn) == 4
            assert all(re.fullmatch(text.replace(" ", ""), word) for word in drawn)


@pytest.mark.parametrize(
    "text", ["hello", "%d items", "[a-z]{1,5}", ".*x", r"\bword[a-z]", "(ab", "a)", "[^a]b{2}", "*a", ""]
)
def test_what_describes_no_words_of_parts_has_no_pattern(text: str) -> None:
    assert not list(read_patterns(text))


def test_seen_words_with_the_same_parts_have_a_pattern() -> None:
    rng = random.Random(1)
    for words, expression in (
        (("+zucchini", "-artichoke", "+x"), "[-+][a-z]+"),
        (("2026-01-02", "1999-12-31", "1000-01-01"), r"\d{4}-\d\d-\d\d"),
        (("Al", "Bob", "Christina"), "[A-Z][a-z]+"),
    ):
        drawn = draw_patterned(5, seen_pattern(words), DrawLimits(1, 12, 1, 12), Where.FULL, How.RANDOM, rng)
        assert all(re.fullmatch(expression, word) for word in drawn)
    assert not seen_pattern(("+a", "b", "-c"))
    assert not seen_pattern(("abc", "de", "f"))
    assert not seen_pattern(("+a", "-b"))


def test_words_are_drawn_and_changed_by_the_tightest_pattern_that_all_seen_ones_match() -> None:
    validator = 'import re\nword = re.compile("[+-][a-z]{1,6}")\nloose = re.compile("[+-][a-z0-9]{1,9}")'
    sample = "2\n+ab -c\n"
    assert known(sample, validator=validator).ranges[1].highs == (7,)
    texts = [
        each.data.decode()
        for each in MutateGenerator().propose(problem(sample, validator=validator), random.Random(1), 60)
    ]
    words = [word for text in texts for word in text.split() if not word.strip("-").isdigit()]
    assert words
    assert all(re.fullmatch("[+-][a-z]{1,6}", word) for word in words)


@pytest.mark.parametrize("text", [text for text, _ in EXPRESSIONS])
def test_a_pattern_matches_what_its_expression_matches(text: str) -> None:
    [(_, pattern)] = list(read_patterns(text))
    rng = random.Random(2)
    letters = "abcexz01-+.AZ2 "
    words = ["".join(rng.choices(letters, k=rng.randrange(7))) for _ in range(300)]
    words += [word for how in How for word in draw_patterned(4, pattern, DrawLimits(1, 9, 2, 5), Where.FULL, how, rng)]
    spaced = [word for word in words if " " not in word]  # words of a pattern have no white space
    assert [matches(pattern, word) for word in spaced] == [re.fullmatch(text, word) is not None for word in spaced]


@pytest.mark.parametrize("text", ["[a-z]([a-z]+_?)*", "([a-z]+)+1", "[A-Za-z]+([A-Za-z]+[-']?)*", "[a-z]+[0-9]*[a-z]+"])
def test_no_expression_of_a_package_takes_long(text: str) -> None:
    """With `re` each letter doubles the time."""
    for _, pattern in read_patterns(text):
        assert not matches(pattern, "a" * 900 + "#")


@pytest.mark.parametrize(
    "text", ["(([01]{9}){300}){300}", "((a{99999}){99999})b", "(" * 600 + "ab" + ")" * 600, "[ab]c" * 200]
)
def test_what_is_no_pattern_of_words_is_left_out(text: str) -> None:
    assert not list(read_patterns(text))


def test_a_number_that_goes_further_than_words_do_is_not_their_length() -> None:
    """In the only sample three words have three letters each: most inputs had words of m letters, and were refused."""
    what = problem(
        "2 3\nfir\noak\nELM\nASH\nYEW\n",
        validator="assert 1 <= n <= 50 and 1 <= m <= 80\nre.match('[a-z]{1,9}', w)\nre.match('[A-Z]{3}', c)",
    )
    made = [each.data.decode().split() for each in MutateGenerator().propose(what, random.Random(1), 40)]
    capital = [word for words in made for word in words if word.isupper()]
    assert sum(len(word) == 3 for word in capital) > 0.9 * len(capital) > 100
