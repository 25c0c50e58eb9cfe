"""Missing languages: why a submission is left out that no endpoint runs, and what it costs in all.

Decides the words that are kept of each such submission, and reads them again. Pure; it must not know who runs what.
"""

import re
from collections import Counter
from collections.abc import Mapping

__all__ = ["cost_of_missing", "left_out_for", "left_out_of_row", "why_left_out"]

_WHY = re.compile(r"no endpoint runs ([^()]+)")  # of a validator more is said: what the endpoints do run
_OF_ROW = re.compile(r"(\d+) in (.+)")


def why_left_out(language: str) -> str:
    """Return why a submission in `language` is left out, if no endpoint runs it."""
    return f"no endpoint runs {language}"


def left_out_of_row(lost: Mapping[str, int]) -> dict[str, str]:
    """Return what is left out of a row of a data set, and why: its solutions have no names, so they are counted."""
    return {f"{many} in {language}": why_left_out(language) for language, many in sorted(lost.items())}


def left_out_for(why: str) -> str:
    """Return the language that a submission was left out for; "" if it was for something else, or is a validator."""
    found = _WHY.fullmatch(why)
    return found[1] if found else ""


def cost_of_missing(left_out: Mapping[str, str]) -> Counter[str]:
    """Return how many submissions of a problem are left out for each language that no endpoint runs.

    Args:
        left_out: subject -> why, as in `ProblemResult`.
    """
    cost: Counter[str] = Counter()
    for subject, why in left_out.items():
        if language := left_out_for(why):
            of_row = _OF_ROW.fullmatch(subject)
            cost[language] += int(of_row[1]) if of_row and of_row[2] == language else 1
    return cost
