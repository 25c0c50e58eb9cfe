"""Words: their lengths."""

import random

from balancer.pipeline.generators.mutate import MutateGenerator
from tests.unit.pipeline.knowing import problem


def test_a_number_that_goes_further_than_words_do_is_not_their_length() -> None:
    """In the only sample three words have three letters each: most inputs had words of m letters, and were refused."""
    what = problem(
        "2 3\nfir\noak\nELM\nASH\nYEW\n",
        validator="assert 1 <= n <= 50 and 1 <= m <= 80\nre.match('[a-z]{1,9}', w)\nre.match('[A-Z]{3}', c)",
    )
    made = [each.data.decode().split() for each in MutateGenerator().propose(what, random.Random(1), 40)]
    capital = [word for words in made for word in words if word.isupper()]
    assert sum(len(word) == 3 for word in capital) > 0.9 * len(capital) > 100
