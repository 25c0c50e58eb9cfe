"""HTML of a study: the ranking, for a notebook cell."""

from markupsafe import Markup, escape

from balancer.reporting.html import bare_table
from balancer_simulator.studies.figures import figure_of
from balancer_simulator.studies.findings import StudyFindings
from balancer_simulator.studies.ranking import of_the_runs, ranking_table, winner_of

__all__ = ["study_html"]


def study_html(study: StudyFindings) -> str:
    """Return the ranking of a study for a notebook cell."""
    winner = winner_of(study)
    lines = [
        escape(f"{study.scenario.name}: {figure_of(study.default_metric).meaning}"),
        Markup(bare_table(ranking_table(study))),  # escaped already
    ]
    if winner and study.scenario.replications > 1 and (sentence := winner.sentence()):
        lines.append(escape(f"{sentence[0].upper()}{sentence[1:]}."))
    lines += [escape(line) for line in (_intervals(study), *of_the_runs(study))]
    return str(Markup("").join(Markup("<div>{}</div>").format(line) for line in lines))


def _intervals(study: StudyFindings) -> str:
    scenario = study.scenario
    count = scenario.replications
    runs = "one replication, so no intervals" if count == 1 else f"95% intervals over {count} replications"
    return f"\u00b1: {runs}{'' if scenario.is_batch else f', {scenario.horizon_s:g} s each'}; seed {scenario.seed}"
