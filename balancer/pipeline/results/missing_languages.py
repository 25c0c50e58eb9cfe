"""Missing languages: submissions left out because no endpoint runs their language.

Decides the text that is stored for such a submission, and parses it. Pure.
"""

import re
from collections import Counter
from collections.abc import Mapping

__all__ = ["cost_of_missing", "left_out_for", "left_out_of_row", "why_left_out"]

_WHY = re.compile(r"no endpoint runs ([^()]+)")  # for a validator, the text also names the known languages
_OF_ROW = re.compile(r"(\d+) in (.+)")


def why_left_out(language: str) -> str:
    """Return why a submission in `language` is left out."""
    return f"no endpoint runs {language}"


def left_out_of_row(lost: Mapping[str, int]) -> dict[str, str]:
    """Return what is left out of a row of a data set, and why. Its submissions have no names, so they are counted."""
    return {f"{many} in {language}": why_left_out(language) for language, many in sorted(lost.items())}


def left_out_for(why: str) -> str:
    """Return the language that a submission was left out for; "" for another reason, or for a validator."""
    found = _WHY.fullmatch(why)
    return found[1] if found else ""


def cost_of_missing(left_out: Mapping[str, str]) -> Counter[str]:
    """Return the number of submissions of a problem left out for each missing language.

    Args:
        left_out: subject -> why, as in `ProblemResult`.
    """
    cost: Counter[str] = Counter()
    for subject, why in left_out.items():
        if language := left_out_for(why):
            of_row = _OF_ROW.fullmatch(subject)
            cost[language] += int(of_row[1]) if of_row and of_row[2] == language else 1
    return cost
