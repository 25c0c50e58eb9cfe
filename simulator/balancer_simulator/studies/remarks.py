"""Remarks on the runs of a study: what is refused, one sample, the warm-up.

Decides what is worth a line, and its words; whoever shows a line decides how it looks.
"""

from collections.abc import Iterator
from typing import Final

from balancer_simulator.studies.findings import StudyFindings
from balancer_simulator.studies.warmup import why_all_counts
from balancer_simulator.studies.wording import TOO_SHORT

__all__ = ["UNSURE", "behind", "of_the_runs", "unsure"]

UNSURE: Final = "may not keep up: as many wait as at a load of 1, and no run of this length can tell"


def behind(study: StudyFindings) -> list[str]:
    """Return the policies that cannot keep up."""
    return [policy for policy in study.policies if not study.keeps_up(policy)]


def unsure(study: StudyFindings) -> list[str]:
    """Return the policies that may not keep up."""
    return [policy for policy in study.policies if study.may_not_keep_up(policy)]


def of_the_runs(study: StudyFindings) -> Iterator[str]:
    """Yield what a reader of any figure has to know: what is refused, what is one sample, what does not count."""
    refused = {name: reason for policy in study.policies for name, reason in study.too_short(policy).items()}
    if refused:
        name, reason = next(iter(refused.items()))
        yield f"{TOO_SHORT}: raise horizon_s or replications for {', '.join(refused)} (of {name}: {reason})"
    if study.is_one_sample:
        yield (
            "one sample: what is asked for was recorded, so every replication asks for the same; an interval is only "
            "of what is random besides"
        )
    scenario = study.scenario
    if scenario.within is not None and scenario.replications >= scenario.most_replications:
        yield f"not known to within {scenario.within:.0%} after most_replications = {scenario.most_replications}"
    if scenario.warmup_s:
        yield f"warm-up: the first {scenario.warmup_s:g} s of each run do not count"
    elif scenario.warmup_s is None and (why := why_all_counts(scenario)):
        yield f"no warm-up: all of each run counts, as {why}"
