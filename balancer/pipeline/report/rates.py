"""The rates of a run, round by round, as words: for the terminal and for the page.

Decides what each moment is called, and how a rate and its interval are written. Pure.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from balancer.pipeline.results.run_result import RunResult
from balancer.pipeline.results.scores import Rate, RoundScores
from balancer.reporting.words import NOTHING, count

__all__ = ["MODEL", "RATES", "RateLine", "looks_said", "moment", "rate_lines", "spent_said"]

RATES = (
    ("tpr_micro", "accepted kept", "of all problems pooled (TPR, micro)"),
    ("tpr_macro", "per problem", "of each problem, averaged (TPR, macro)"),
    ("tnr_micro", "wrong rejected", "of all problems pooled (TNR, micro)"),
    ("tnr_macro", "per problem", "of each problem, averaged (TNR, macro)"),
    ("accuracy", "verifier accuracy", "problems whose cases keep every accepted and reject every wrong submission"),
)
MODEL = ("questions", "tokens", "cost", "seconds")


@dataclass(frozen=True, slots=True)
class RateLine:
    """One moment of a run.

    Attributes:
        when: its name.
        rates: each as a percentage; `ranges`: its interval.
        spent: questions, tokens, cost and seconds of waiting for a model, in the last round.
    """

    when: str
    rates: tuple[str, ...]
    ranges: tuple[str, ...]
    spent: tuple[str, ...]


def rate_lines(result: RunResult) -> tuple[RateLine, ...]:
    """Return a line for each moment: with own data alone, and after each round."""
    return tuple(_line(each) for each in result.scores)


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


def looks_said(result: RunResult) -> Iterator[str]:
    """Yield a line for each kind of time limit that was looked at twice."""
    for (why, said), times in result.rechecks.items():
        yield f"{times} x {why.replace('_', ' ')}: {said.replace('_', ' ')}"


def _line(scores: RoundScores) -> RateLine:
    rates: list[Rate | None] = [getattr(scores, name) for name, _, _ in RATES]
    spent = scores.spent
    return RateLine(
        moment(scores.rounds),
        tuple(NOTHING if rate is None else f"{100 * rate.value:.1f}%" for rate in rates),
        tuple("" if rate is None else f"{100 * rate.low:.1f} to {100 * rate.high:.1f}" for rate in rates),
        (
            str(spent.questions),
            str(spent.asked + spent.answered),
            f"{spent.cost:.4g}" if spent.cost else NOTHING,
            f"{spent.seconds:.3g}",
        )
        if spent.questions
        else (NOTHING,) * 4,
    )
