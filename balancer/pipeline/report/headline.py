"""Headline of the report: tiles, warnings, and what went wrong. Pure; used by the terminal and the page."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping

from balancer.pipeline.results.run_result import RunResult
from balancer.reporting.document import Tile, Tone
from balancer.reporting.words import NOTHING, count, part_of, percent, shorten

__all__ = ["NOT_JUDGED", "left_out_lines", "nothing_judged", "tiles", "troubles", "verdict", "warnings"]

NOT_JUDGED = "not judged"

BUSY = "too busy"  # in the reason of a run that a busy machine prevented
_MOST_NAMED = 5
_MOST_LANGUAGES = 20
_MOST_REASONS = 3
_TRIES = re.compile(r"^after \d+( of \d+)? tr(y|ies): ")


def left_out_lines(result: RunResult, most: int = 10) -> tuple[str, ...]:
    """Return a line for each package that is left out, with the reason."""
    left_out = result.packages_left_out
    lines = [f"Left out: {name}: {shorten(why, 300)}" for name, why in list(left_out.items())[:most]]
    if len(left_out) > most:
        lines.append(f"Left out: {count(len(left_out) - most, 'more package')}, see the report")
    return tuple(lines)


def verdict(result: RunResult) -> tuple[str, Tone]:
    """Return what came of the run, in a sentence, and whether that is good."""
    totals, counts = result.totals, result.totals.counts
    accepted, kept, wrong, killed = (counts[each] for each in ("accepted", "accepted_kept", "wrong", "wrong_killed"))
    rejected, surviving = counts["accepted_judged"] - kept, counts["wrong_judged"] - killed
    if not counts["accepted_judged"] and not counts["wrong_judged"]:
        return "Nothing can be said yet: no submission was judged on every case.", Tone.BAD
    said = []
    if rejected:
        said.append(f"{rejected} of {accepted} accepted submissions are rejected by a case")
    elif accepted:
        said.append(f"{_all(kept, accepted)} accepted submissions are kept")
    if wrong:
        alone = f"{counts['wrong_killed_before']} with the problems\u2019 own data alone"
        survive = f"; {surviving} survive, in {count(totals.surviving, 'problem')}" if surviving else ""
        said.append(f"{_all(killed, wrong)} wrong ones are killed, {alone}{survive}")
    sentence = ", and ".join(said) + "."
    if counts["not_judged"]:
        was = "was" if counts["not_judged"] == 1 else "were"
        sentence += f" {count(counts['not_judged'], 'submission')} {was} not judged on every case."
    good = kept == accepted and killed == wrong
    return sentence[0].upper() + sentence[1:], Tone.GOOD if good else Tone.BAD if rejected else Tone.PLAIN


def _all(part: int, whole: int) -> str:
    return f"all {whole}" if part == whole else f"{part} of {whole}"


def nothing_judged(result: RunResult) -> str:
    """Return why a complete run judged nothing; "" if it judged something, or was stopped."""
    if result.complete or result.totals.counts["judged"] or result.stopped_by:
        return ""
    if reasons := _without_tries(result.reasons):
        some = list(reasons.items())[:_MOST_REASONS]
        told = "; ".join(f"{times} x {shorten(why, 200)}{_where(result, why)}" for why, times in some)
        more = f"; and {len(reasons) - _MOST_REASONS} other reasons" if len(reasons) > _MOST_REASONS else ""
        return f"Nothing was judged, because {_lack(result)}: {told}{more}"
    if result.totals.counts["contested"]:
        contested = ", ".join(problem.id for problem in result.problems if problem.disagreements)
        return f"Nothing was judged: every case is contested, see the report ({shorten(contested, 200)})."
    return f"Nothing was judged: {next(_hindrances(result), 'no problem has a case that is ready')}."


def _hindrances(result: RunResult) -> Iterator[str]:
    """Yield why there is nothing to judge: rows and programs with the reason."""
    for row in result.left_out_rows:
        yield f"row {row.number} (from 0): {shorten(row.why, 300)}"
    for problem in result.problems:
        for subject, why in problem.left_out.items():
            yield f"{problem.id}: {subject}: {shorten(why, 300)}"
        for each in problem.submissions:
            if not each.compiles:
                yield f"{problem.id}: {each.name} does not compile"
        yield from (f"{problem.id}: {shorten(note, 300)}" for note in problem.notes)


def _lack(result: RunResult) -> str:
    """Return why something is unjudged, in a few words."""
    busy = result.reasons and all(BUSY in why for why in result.reasons)
    return "the machines were too busy" if busy else "the infrastructure failed"


def _where(result: RunResult, why: str) -> str:
    """Return the first problem or row that something is unjudged in for this reason."""
    found = (problem.id for problem in result.problems if why in _without_tries(problem.reasons))
    return f" ({problem})" if (problem := next(found, "")) else ""


def _without_tries(reasons: Mapping[str, int]) -> dict[str, int]:
    """Return the reasons without their number of tries, so that equal ones are counted together."""
    found: Counter[str] = Counter()
    for why, often in reasons.items():
        found[_TRIES.sub("", why)] += often
    return dict(found.most_common())


def tiles(result: RunResult) -> Iterator[Tile]:
    """Yield the headline figures, the most important first."""
    counts = result.totals.counts
    kept, judged, accepted = counts["accepted_kept"], counts["accepted_judged"], counts["accepted"]
    yield Tile(
        "Accepted kept",
        part_of(kept, judged) if judged else _unknown(accepted),
        _note(f"{percent(kept, judged)} of the accepted submissions", judged, accepted, "accepted"),
        Tone.BAD if kept < judged else Tone.GOOD if accepted and kept == accepted else Tone.PLAIN,
    )
    killed, before = counts["wrong_killed"], counts["wrong_killed_before"]
    judged, wrong = counts["wrong_judged"], counts["wrong"]
    yield Tile(
        "Wrong killed",
        f"{before} \u2192 {killed} of {judged}" if judged else _unknown(wrong),
        _note(f"{percent(before, judged)} before, {percent(killed, judged)} after", judged, wrong, "wrong"),
        Tone.GOOD if wrong and killed == wrong else Tone.PLAIN,
    )
    unjudged = counts["unjudged"]
    yield Tile(
        "Unjudged",
        str(unjudged),
        _lack(result) if unjudged else "every run was judged",
        Tone.BAD if unjudged else Tone.GOOD,
    )
    yield Tile("Problems", str(result.totals.problems), f"{count(counts['judged'], 'verdict')}")
    yield Tile(
        "Cases",
        str(counts["cases"]),
        f"{counts['cases_kept']} kept, because they kill" if counts["cases_kept"] else "none kept",
    )


def _unknown(submissions: int) -> str:
    return NOT_JUDGED if submissions else NOTHING


def _note(words: str, judged: int, submissions: int, kind: str) -> str:
    if not submissions:
        return f"no {kind} submissions"
    if not judged:
        return count(submissions, f"{kind} submission")
    return words if judged == submissions else f"{words}; {submissions - judged} {NOT_JUDGED}"


def troubles(result: RunResult) -> Iterator[str]:
    """Yield what must be said first: endpoints that lied, and validators that do not work, with the reasons."""
    for liar in result.verified.liars:
        again = count(liar.problems, "problem")
        yield (
            f"{shorten(liar.endpoint, 100)} gave wrong results and was taken out of service: {shorten(liar.why, 200)}; "
            f"{again} with its results judged again."
        )
    yield from (f"{shorten(line, 400)}." for line in result.totals.troubles_told)
    if (more := result.totals.troubles - len(result.totals.troubles_told)) > 0:
        yield f"And {count(more, 'more trouble')} with validators: see `troubles` in summary.json."


def warnings(result: RunResult) -> Iterator[str]:
    """Yield warnings about the figures, one sentence each; none if all is well."""
    if nothing := nothing_judged(result):
        yield nothing
    elif not result.complete:
        yield "Not complete: the run was stopped before everything was judged. The figures cover the judged part."
    if result.sessions > 1:
        yield f"Resumed: it took {result.sessions} sessions. Times, endpoints and pool are those of the last one."
    totals, counts = result.totals, result.totals.counts
    if totals.problems > len(result.problems):
        yield (
            f"Shown in detail are {len(result.problems)} of {totals.problems} problems, those with the most survivors. "
            "Totals are of all."
        )
    if result.rows_left_out:
        yield f"{count(result.rows_left_out, 'row')} of the data set left out as not usable."
    yield from _missing(result)
    if unjudged := counts["unjudged"]:
        yield (
            f"{count(unjudged, 'verdict')} unjudged: {_lack(result)}. They do not count for or against a submission."
        )
    yield from _notes(counts)
    if totals.idle:
        yield f"No case that counts: {_named(totals.idle_named, totals.idle)}."


def _notes(counts: Mapping[str, int]) -> Iterator[str]:
    """Yield what changes the figures, of the notes on problems."""
    kinds = {kind: many for kind in ("accepted", "wrong") if (many := counts[f"{kind}_left_out"])}
    if left_out := " and ".join(count(many, f"{kind} submission") for kind, many in kinds.items()):
        yield f"{left_out} left out, and in no rate: the notes of the report say why."
    if abstaining := counts["abstaining"]:
        slow = count(abstaining, "accepted submission")
        yield f"{slow} abstained: too slow on made-up cases on which others agree."
    if unasked := counts["unasked"]:
        killers = count(unasked, "case that kills", "cases that kill")
        yield f"{killers}: no time was left to run all accepted submissions there."
    if no_validator := counts["no_validator"]:
        without = count(no_validator, "problem")
        yield f"{without} without an input validator: made-up inputs count if accepted ones agree, or not at all."


def _missing(result: RunResult) -> Iterator[str]:
    """Yield a line for each language that no endpoint runs, with the number of submissions lost; the largest first."""
    totals, endpoints = result.totals, count(len(result.pool.endpoints), "endpoint")
    for language, many in sorted(totals.missing.items(), key=lambda each: (-each[1], each[0]))[:_MOST_LANGUAGES]:
        where = count(totals.missing_in[language], "problem")
        lost = count(many, "submission")
        yield f"{shorten(language, 40)} runs on none of {endpoints}: {lost} of {where} left out."
    if (more := len(totals.missing) - _MOST_LANGUAGES) > 0:
        yield f"And {count(more, 'more language')}: see `languages_missing` in summary.json."


def _named(names: list[str], many: int) -> str:
    first = ", ".join(shorten(name, 40) for name in names[:_MOST_NAMED])
    more = many - _MOST_NAMED
    return f"{first} and {more} more" if more > 0 else first
