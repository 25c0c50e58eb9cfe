"""What a person should see first: a handful of figures, and whether they can be trusted.

Decides which figures are the headline and when a reader must be warned. Pure; it must not know how a report
looks.
"""

from collections.abc import Iterator

from balancer.pipeline.results import RunResult
from balancer.reporting.tile import Tile, Tone
from balancer.reporting.words import NOTHING, count, part_of, percent, seconds, shorten, times

__all__ = ["lost", "tiles", "warnings"]

_MOST_NAMED = 5


def tiles(result: RunResult) -> tuple[Tile, ...]:
    """Return the headline figures, the most telling first."""
    return (*_verdict_tiles(result), *_time_tiles(result))


def warnings(result: RunResult) -> tuple[str, ...]:
    """Return what a reader must know before believing the figures, one sentence each; none if all is well."""
    return tuple(_warnings(result))


def lost(result: RunResult) -> tuple[tuple[str, str], ...]:
    """Return (problem, accepted submission) for each accepted submission that some case rejects."""
    return tuple(
        (problem.id, submission.name)
        for problem in result.problems
        for submission in problem.accepted
        if submission not in problem.kept
    )


def _verdict_tiles(result: RunResult) -> Iterator[Tile]:
    summary = result.summary()
    counts = summary["counts"]
    kept, accepted = counts["accepted_kept"], counts["accepted"]
    killed, before, wrong = counts["wrong_killed"], counts["wrong_killed_before"], counts["wrong"]
    yield Tile(
        "Accepted kept",
        part_of(kept, accepted),
        f"{percent(kept, accepted)} of the accepted submissions" if accepted else "no accepted submissions",
        Tone.PLAIN if not accepted else Tone.GOOD if kept == accepted else Tone.BAD,
    )
    yield Tile(
        "Wrong killed",
        f"{before} \u2192 {killed} of {wrong}" if wrong else NOTHING,
        f"{percent(before, wrong)} before, {percent(killed, wrong)} after" if wrong else "no wrong submissions",
        Tone.GOOD if wrong and killed == wrong else Tone.PLAIN,
    )
    unjudged = summary["unjudged"]
    yield Tile(
        "Unjudged",
        str(unjudged),
        "the infrastructure failed" if unjudged else "every run was judged",
        Tone.BAD if unjudged else Tone.GOOD,
    )
    yield Tile("Problems", str(summary["problems"]), f"{count(summary['judged'], 'verdict')}")
    yield Tile(
        "Cases",
        str(summary["cases"]),
        f"{counts['cases_kept']} kept, because they kill" if counts["cases_kept"] else "none kept",
    )


def _time_tiles(result: RunResult) -> Iterator[Tile]:
    bound_s = result.bound_s
    yield Tile(
        "Makespan / bound",
        times(result.makespan_s, bound_s),
        f"{seconds(result.makespan_s)}, at best {seconds(bound_s)}" if bound_s else "nothing was run",
    )
    offered = result.makespan_s > 0 and result.slots > 0
    yield Tile(
        "Utilisation",
        percent(result.utilisation) if offered else NOTHING,
        f"{count(result.slots, 'slot')}, {count(len(result.pool.endpoints), 'endpoint')}",
    )
    yield Tile("Strategy", shorten(result.strategy, 60), count(result.pool.acquired, "lease"))


def _warnings(result: RunResult) -> Iterator[str]:
    if not result.complete:
        yield "Not complete: the run was stopped before everything was judged. The figures cover what was."
    if result.sessions > 1:
        yield f"Resumed: it took {result.sessions} sessions. Times, endpoints and pool are those of the last one."
    unjudged = sum(problem.unjudged for problem in result.problems)
    if unjudged:
        yield (
            f"{count(unjudged, 'verdict')} unjudged: the infrastructure failed. "
            "They count neither for nor against a submission."
        )
    rejected = len(lost(result))
    if rejected:
        yield f"{count(rejected, 'accepted submission')} rejected by some case: a case or a submission is wrong."
    idle = [problem.id for problem in result.problems if not problem.ready]
    if idle:
        yield f"No case that counts: {_named(idle)}."


def _named(names: list[str]) -> str:
    first = ", ".join(shorten(name, 40) for name in names[:_MOST_NAMED])
    more = len(names) - _MOST_NAMED
    return f"{first} and {more} more" if more > 0 else first
