"""The verdict of a study: the policy that is best for certain, or those that chance may have put in order.

Decides when a policy may be called the best, in tables and on the page alike. It must not know where that is shown.
"""

from dataclasses import dataclass

from balancer_simulator.studies.figures import figure_of
from balancer_simulator.studies.findings import StudyFindings

__all__ = ["Winner", "winner_of"]


@dataclass(frozen=True, slots=True)
class Winner:
    """The first of a ranking, and the policies that cannot be told apart from it.

    Attributes:
        first: the policy with the best mean; whether it is the best is another question.
        alike: those whose paired difference to it may be chance: on the same requests and faults, the 95% interval
            holds 0. With one replication all others.
        figure: what they are ranked by.
        of: how many policies were compared.
    """

    first: str
    alike: tuple[str, ...]
    figure: str
    of: int

    @property
    def is_certain(self) -> bool:
        """Whether the first is better than every other policy by more than chance explains."""
        return self.of > 1 and not self.alike

    def sentence(self) -> str:
        """Return the verdict as a line; "" where there is nothing to compare."""
        if self.of < 2:
            return ""
        heading = figure_of(self.figure).heading
        if self.is_certain:
            return f"best by {heading}: {self.first}"
        return f"cannot be told apart by {heading}: {', '.join([self.first, *self.alike])}"


def winner_of(study: StudyFindings, by: str | None = None) -> Winner | None:
    """Return who has won by the figure `by`; None if no policy has it in all its runs.

    Raises:
        ConfigError: there is no such figure, or neither of its ends is better.
    """
    name = by or study.default_metric
    if not any(name in study.metrics(policy) for policy in study.ranking(by)):
        return None
    first, *alike = study.best(name)
    return Winner(first, tuple(alike), name, len(study.policies))
