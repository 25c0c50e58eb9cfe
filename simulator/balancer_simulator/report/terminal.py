"""Output of a study in the terminal: figures, a ranking, several scenarios side by side."""

from collections.abc import Iterator, Mapping, Sequence

from rich.console import Console

from balancer.reporting.document import Block, Paragraph, Section
from balancer.reporting.terminal import print_sections
from balancer_simulator.report.tables import (
    BEST,
    figure_table,
    kind_table,
    matrix_table,
    place_table,
    prompt_table,
    share_tables,
)
from balancer_simulator.studies.figures import figure_of
from balancer_simulator.studies.ranking import UNSURE, Winner, behind, of_the_runs, to_know_more, unsure, winner_of
from balancer_simulator.studies.study import Study

__all__ = ["print_matrix", "print_study"]


def print_study(study: Study, console: Console, *, by: str | None = None) -> None:
    """Print the ranking, if there are several policies, then their main figures, and the share of each endpoint.

    Raises:
        ConfigError: there is no figure `by`, or neither of its ends is better.
    """
    name, ranking, winner = by or study.default_metric, study.ranking(by), winner_of(study, by)
    remarks = (*_verdict(study, winner), *_remarks(study, ranking, name))
    sections = []
    if len(ranking) > 1:
        figure = figure_of(name)
        end = ", more is better" if figure.better == "more" else ""
        places = place_table(study, by, winner, unfinished=bool(behind(study)))
        heading = Paragraph(f"ranked by {figure.heading}{end}: {figure.meaning}")
        sections.append(Section(study.scenario.name, (heading, places, *map(Paragraph, remarks))))
        sections.append(Section("figures", (figure_table(study),)))
    else:
        sections.append(_with_lines(study.scenario.name, figure_table(study), remarks))
    if len(study.scenario.requests.kinds) > 1:
        sections.append(Section("by kind of request", (kind_table(study),)))
    if study.scenario.has_keys:
        sections.append(Section("prompts and sessions", (prompt_table(study),)))
    sections.append(Section("share of all calls, by endpoint", tuple(share_tables(study))))
    print_sections(sections, console)


def print_matrix(studies: Mapping[str, Study], console: Console) -> None:
    """Print the distance of each policy from the best one in each study; the best ones are bold."""
    numbers = list(map(str, range(1, len(studies) + 1)))
    said = [f"{n}: {study.scenario.name} ({path})" for n, (path, study) in zip(numbers, studies.items(), strict=True)]
    said.append(f"{BEST}: the best, or cannot be told apart from it")
    for number, study in zip(numbers, studies.values(), strict=True):
        if names := unsure(study):
            said.append(f"{number}: {UNSURE}; {to_know_more(study.scenario, 'raise horizon_s')}: {', '.join(names)}")
    title = "mean sojourn (of a batch: makespan), divided by that of the best policy"
    print_sections([_with_lines(title, matrix_table(studies, numbers, about="policy"), said)], console)


def _with_lines(title: str, table: Block, lines: Sequence[str]) -> Section:
    return Section(title, (table, *map(Paragraph, lines)))


def _verdict(study: Study, winner: Winner | None) -> Iterator[str]:
    """Yield the winner as text; nothing with one replication, which cannot have one."""
    if winner and study.scenario.replications > 1 and (sentence := winner.sentence()):
        yield sentence


def _remarks(study: Study, ranking: Sequence[str], name: str) -> Iterator[str]:
    count = study.scenario.replications
    if not any(name in study.metrics(policy) for policy in ranking):
        yield _nothing(study)
    if count == 1:
        yield "one replication gives no intervals; run more with --replications"
    else:
        yield f"\u00b1: 95% intervals over {count} replications; differences are paired (the same requests and faults)"
        compared = [p for p in ranking[1:] if name in study.metrics(p) and name in study.metrics(ranking[0])]
        if any(not study.difference(p, ranking[0], name).is_clear for p in compared):
            yield "~: cannot be told apart from the first: the interval of the difference holds 0"
    losers = [policy for policy in ranking if study.loses_more(policy)]
    if losers:
        unfinished = "" if all(study.keeps_up(policy) for policy in losers) else ", or never end them"
        yield f"ranked last, because they lose more requests{unfinished}: {', '.join(losers)}"
    yield from _behind(study)
    yield from of_the_runs(study)


def _behind(study: Study) -> Iterator[str]:
    if found := [f"{p} ({study.unfinished(p):.1%} unfinished)" for p in behind(study)]:
        yield f"cannot keep up, so the times grow with the horizon: {', '.join(found)}"
    if names := unsure(study):
        yield f"{UNSURE}; {to_know_more(study.scenario, 'raise horizon_s')}: {', '.join(names)}"


def _nothing(study: Study) -> str:
    horizon = f"{study.scenario.horizon_s:g} s"
    if study.scenario.is_batch:
        return f"no batch was done within horizon_s, {horizon}: raise it, or find the cause with `simulate`"
    return f"in no replication did a request succeed within horizon_s, {horizon}: raise it, or see what fails"
