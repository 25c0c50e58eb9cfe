"""The rates of a run, round by round, as words.

Decides what each moment is called, and how a rate and its interval are written. Pure.
"""

from collections.abc import Iterator

from balancer.pipeline.results.run_result import RunResult
from balancer.pipeline.results.scores import Rate, RoundScores
from balancer.reporting.document import Cell
from balancer.reporting.words import NOTHING, count

__all__ = ["RATES", "looks_said", "moment", "rate_cells", "spent_cells", "spent_said"]

# An attribute of the scores, its heading and its meaning, and whether it is only for where there is room.
RATES = (
    ("tpr_micro", "accepted kept", "of all problems pooled (TPR, micro)", False),
    ("tpr_macro", "per problem", "of each problem, averaged (TPR, macro)", True),
    ("tnr_micro", "wrong rejected", "of all problems pooled (TNR, micro)", False),
    ("tnr_macro", "per problem", "of each problem, averaged (TNR, macro)", False),
    (
        "accuracy",
        "verifier accuracy",
        "problems whose cases keep every accepted and reject every wrong submission",
        False,
    ),
)


def rate_cells(scores: RoundScores) -> Iterator[Cell]:
    """Yield each rate of a moment as a percentage, its interval below."""
    for name, *_ in RATES:
        rate: Rate | None = getattr(scores, name)
        if rate is None:
            yield Cell(NOTHING)
        else:
            yield Cell(f"{100 * rate.value:.1f}%", below=f"{100 * rate.low:.1f} to {100 * rate.high:.1f}")


def spent_cells(scores: RoundScores) -> tuple[str, str, str, str]:
    """Return questions, tokens, cost and seconds of waiting for a model, in the last round."""
    spent = scores.spent
    if not spent.questions:
        return (NOTHING,) * 4
    cost = f"{spent.cost:.4g}" if spent.cost else NOTHING
    return str(spent.questions), str(spent.asked + spent.answered), cost, f"{spent.seconds:.3g}"


def moment(rounds: int) -> str:
    """Return the name of the moment when so many rounds are over; rounds are counted from 0, as origins name them."""
    return f"round {rounds - 1}" if rounds else "own data"


def spent_said(result: RunResult) -> str:
    """Return what the run used of a model in all; "" if it asked none."""
    spent = [each.spent for each in result.scores]
    questions = sum(each.questions for each in spent)
    if not questions:
        return ""
    asked, answered = sum(each.asked for each in spent), sum(each.answered for each in spent)
    cost = sum(each.cost for each in spent)
    words = f"{count(questions, 'question')}, {asked + answered} tokens ({asked} asked, {answered} answered)"
    return f"{words}{f', cost {cost:.4g}' if cost else ''}, {sum(each.seconds for each in spent):.3g} s of waiting"


def looks_said(result: RunResult) -> tuple[str, ...]:
    """Return a line for each kind of time limit that was looked at twice."""
    return tuple(
        f"{times} x {why.replace('_', ' ')}: {said.replace('_', ' ')}" for (why, said), times in result.rechecks.items()
    )
