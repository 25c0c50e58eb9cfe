"""Tables and sentences of a study in Markdown, for notebooks."""

from balancer.reporting.markdown import markdown_table
from balancer_simulator.studies.figures import figure_of, worded
from balancer_simulator.studies.study import Study

__all__ = ["best_in_words", "markdown_table"]


def best_in_words(study: Study, name: str | None = None) -> str:
    """Return a sentence: the best policy by `name`, and those that cannot be told apart from it.

    Raises:
        ConfigError: there is no such figure, neither of its ends is better, or no policy has it in all its runs.
    """
    name = name or study.default_metric
    best, *alike = study.best(name)
    found = f"`{best}` ({worded(study.metric(best, name), figure_of(name).unit)})"
    if not study.keeps_up(best):
        found = f"{found}, which cannot keep up ({study.unfinished(best):.0%} unfinished)"
    elif study.may_not_keep_up(best):
        found = f"{found}, which may not keep up"
    if not alike:
        return found
    names = ", ".join(f"`{policy}`" for policy in alike)
    return f"{found}, not distinguishable from {names}"
