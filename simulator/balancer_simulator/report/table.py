"""The tables in the terminal.

What stands beside each other fits into a terminal. Names are encoded as the terminal is, so no locale makes it fail.
Files and charts are made elsewhere.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from balancer.reporting.terminal import Clean, cleaner, plain_table
from balancer_simulator.report.matrix import BEST, cells_of
from balancer_simulator.studies.figures import figure_of
from balancer_simulator.studies.remarks import UNSURE, behind, of_the_runs, unsure
from balancer_simulator.studies.study import Study
from balancer_simulator.studies.winner import Winner, winner_of
from balancer_simulator.studies.wording import worded, worded_difference

__all__ = ["OF_KINDS", "print_matrix", "print_ranking", "print_study"]

_COMMON: Final = ("wait_p99_s", "sojourn_mean_s", "sojourn_p99_s")
_COLUMNS: Final[dict[str, tuple[str, ...]]] = {
    "closed": ("throughput_per_s", *_COMMON, "jain_workers", "lost"),
    "batch": ("makespan_s", "makespan_by_bound", "wait_p99_s", "utilisation", "jain_workers", "lost"),
    "tasks": ("makespan_s", "makespan_by_bound", "wait_p99_s", "utilisation", "jain_workers", "lost"),
}
OF_KINDS: Final = ("wait_mean_s", "wait_p99_s", "sojourn_mean_s", "sojourn_p99_s", "lost")
_OF_A_CLUSTER: Final = ("network_wait_mean_s", "owner_wait_mean_s", "slot_wait_mean_s", "owner_busy", "from_blocks")
_UNFINISHED: Final = "un-\nfin-\nished"  # narrow, or a name beside it would be cut
_OPEN: Final = ("throughput_per_s", *_COMMON, "failed_calls", "lost")


def print_study(study: Study, console: Console) -> None:
    """Print the main figures of each policy, and the share of each endpoint."""
    clean = cleaner(console)
    console.print(_figures(study, clean))
    for line in (*_verdict(study, winner_of(study)), *_behind(study), *of_the_runs(study)):
        console.print(clean(line))
    console.print()
    if len(study.scenario.requests.kinds) > 1:
        console.print(_kinds(study, clean))
        console.print()
    if study.scenario.cluster is not None:
        console.print(_cluster(study, clean))
        console.print()
    console.print(_shares(study, clean))


def print_ranking(study: Study, console: Console, *, by: str | None = None) -> None:
    """Print the policies, the best first, each with its paired difference to the best.

    Raises:
        ConfigError: there is no figure `by`, or neither of its ends is better.
    """
    name = by or study.default_metric
    ranking = study.ranking(by)
    figure = figure_of(name)
    end = ", more is better" if figure.better == "more" else ""
    clean = cleaner(console)
    title = (clean(study.scenario.name), clean(f"ranked by {figure.heading}{end}: {figure.meaning}"))
    table = plain_table(Text("\n").join(title))
    headings = ["", "policy", figure.heading, "beside the first" if end else "more than the first", "lost"]
    some_behind = bool(behind(study))
    for heading in [*headings, *([_UNFINISHED] if some_behind else [])]:
        left = heading == "policy"
        table.add_column(heading, justify="left" if left else "right", no_wrap=not left, overflow="fold")
    winner = winner_of(study, by)
    for place, policy in enumerate(ranking, start=1):
        shared = 1 if winner and policy in winner.alike else place
        cells = [
            *_ranked(study, ranking[0], policy, name, shared),
            *([_unfinished(study, policy)] if some_behind else []),
        ]
        table.add_row(*map(clean, cells))
    console.print(table)
    for line in (*_verdict(study, winner), *_remarks(study, ranking, name)):
        console.print(clean(line))


def print_matrix(studies: Mapping[str, Study], console: Console) -> None:
    """Print how far each policy is from the best one in each study; those that are best are bold."""
    clean = cleaner(console)
    table = plain_table("mean sojourn, of a batch the makespan, by that of the best policy")
    table.add_column("policy", no_wrap=True)
    for number in range(1, len(studies) + 1):
        table.add_column(str(number), justify="right")
    for policy, cells in cells_of(studies).items():
        marked = [Text(cell, style="bold" if cell == BEST else "") for cell in cells]
        table.add_row(clean(policy), *marked)
    console.print(table)
    for number, (path, study) in enumerate(studies.items(), start=1):
        console.print(clean(f"{number}: {study.scenario.name} ({path})"))
    console.print(clean(f"{BEST}: the best, or cannot be told apart from it"))
    for number, study in enumerate(studies.values(), start=1):
        if names := unsure(study):
            console.print(clean(f"{number}: {UNSURE}; raise horizon_s: {', '.join(names)}"))


def _ranked(study: Study, best: str, policy: str, name: str, place: int) -> Iterator[str]:
    metrics, unit = study.metrics(policy), figure_of(name).unit
    yield str(place)
    yield policy
    yield worded(metrics[name], unit) if name in metrics else "-"
    if policy == best or name not in metrics or name not in study.metrics(best):
        yield ""
    else:
        difference = study.difference(policy, best, name)
        yield worded_difference(difference, study.metric(best, name).mean, unit) + ("" if difference.is_clear else " ~")
    yield worded(metrics["lost"], "part") if "lost" in metrics else "-"


def _verdict(study: Study, winner: Winner | None) -> Iterator[str]:
    """Yield who has won; with one replication nothing, as nobody can have."""
    if winner and study.scenario.replications > 1 and (sentence := winner.sentence()):
        yield sentence


def _remarks(study: Study, ranking: Sequence[str], name: str) -> Iterator[str]:
    count = study.scenario.replications
    if not any(name in study.metrics(policy) for policy in ranking):
        yield _nothing(study)
    if count == 1:
        yield "one replication: nothing can be said about chance; ask for more with --replications"
    else:
        yield f"\u00b1: 95% intervals over {count} replications; differences are paired (the same requests and faults)"
        compared = [p for p in ranking[1:] if name in study.metrics(p) and name in study.metrics(ranking[0])]
        if any(not study.difference(p, ranking[0], name).is_clear for p in compared):
            yield "~: cannot be told apart from the first: the interval of the difference holds 0"
    losers = [policy for policy in ranking if study.loses_more(policy)]
    if losers:
        unfinished = "" if all(study.keeps_up(policy) for policy in losers) else ", or never ending them"
        yield f"ranked last for losing more requests{unfinished}, whatever the rest took: {', '.join(losers)}"
    yield from _behind(study)
    yield from of_the_runs(study)


def _behind(study: Study) -> Iterator[str]:
    if found := [f"{p} ({_unfinished(study, p)} unfinished)" for p in behind(study)]:
        yield f"cannot keep up, so the times grow with the horizon: {', '.join(found)}"
    if names := unsure(study):
        yield f"{UNSURE}; raise horizon_s: {', '.join(names)}"


def _unfinished(study: Study, policy: str) -> str:
    return f"{study.unfinished(policy):.1%}"


def _nothing(study: Study) -> str:
    horizon = f"{study.scenario.horizon_s:g} s"
    if study.scenario.is_batch:
        return f"no batch was done within horizon_s, {horizon}: raise it, or see with `simulate` what holds it up"
    return f"in no replication did a request succeed within horizon_s, {horizon}: raise it, or see what fails"


def _figures(study: Study, clean: Clean) -> Table:
    table = plain_table(clean(study.scenario.name))
    wanted = _COLUMNS.get(study.scenario.workload.kind, _OPEN)
    there = {key for policy in study.policies for key in study.metrics(policy)}
    keys = tuple(key for key in wanted if key in there)
    table.add_column("policy", no_wrap=True)
    for key in keys:
        table.add_column(_folded(figure_of(key).heading), justify="right")
    for policy in study.policies:
        metrics = study.metrics(policy)
        cells = [worded(metrics[key], figure_of(key).unit) if key in metrics else "-" for key in keys]
        table.add_row(clean(policy), *map(clean, cells))
    return table


def _kinds(study: Study, clean: Clean) -> Table:
    """Return the times of each kind of request, under each policy."""
    table = plain_table("by kind of request")
    table.add_column("policy", no_wrap=True)
    table.add_column("kind", no_wrap=True)
    for key in OF_KINDS:
        table.add_column(_folded(figure_of(key).heading), justify="right")
    for policy in study.policies:
        for kind, metrics in study.by_kind(policy).items():
            cells = [worded(metrics[key], figure_of(key).unit) if key in metrics else "-" for key in OF_KINDS]
            table.add_row(clean(policy), clean(kind), *map(clean, cells))
    return table


def _cluster(study: Study, clean: Clean) -> Table:
    """Return what the wait of a lease is made of, under each policy."""
    table = plain_table("of a lease's wait, where callers are in several processes")
    table.add_column("policy", no_wrap=True)
    for key in _OF_A_CLUSTER:
        table.add_column(_folded(figure_of(key).heading), justify="right")
    for policy in study.policies:
        metrics = study.metrics(policy)
        cells = [worded(metrics[key], figure_of(key).unit) if key in metrics else "-" for key in _OF_A_CLUSTER]
        table.add_row(clean(policy), *map(clean, cells))
    return table


def _folded(heading: str) -> str:
    return heading.replace(" ", "\n").replace("/", "\n/").replace("utilisation", "utili-\nsation")


_MOST_ENDPOINTS: Final = 12


def _shares(study: Study, clean: Clean) -> Table:
    """Return the part of all calls that each endpoint had, the mean over the replications."""
    table = plain_table("share of all calls, by endpoint")
    table.add_column("endpoint", no_wrap=True)
    for policy in study.policies:
        table.add_column(Text("_\n").join(map(clean, policy.split("_"))), justify="right")
    urls = list(study.scenario.by_url)
    for url in urls[:_MOST_ENDPOINTS]:
        table.add_row(clean(url), *(f"{_share(study, policy, url):.1%}" for policy in study.policies))
    if len(urls) > _MOST_ENDPOINTS:
        table.add_row(f"... and {len(urls) - _MOST_ENDPOINTS} more")
    return table


def _share(study: Study, policy: str, url: str) -> float:
    records = study.records[policy]
    return sum(record.shares[url] for record in records) / len(records)
