"""Further turns: the time that some problems leave over goes to where more may be killed.

Decides who has a further turn. It must not know how a problem is judged.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence

from balancer.pipeline.results.store import Store
from balancer.pipeline.round.time_budget import Spending, next_allowances
from balancer.problem import Problem

__all__ = ["Turn", "further_turns"]

_MOST_TURNS = 10

Turn = tuple[Problem, float]  # and the seconds that it may have spent in the end


def further_turns(
    budget_s: float,
    problems: Sequence[Problem],
    hungry: Mapping[str, bool],
    store: Store,
    work: Callable[[Iterator[Turn]], bool],
) -> bool:
    """Give further turns for as long as there is time left and somebody who can use it.

    Args:
        budget_s: of each problem.
        problems: all of them, which have had their first turn.
        hungry: says of each, by id, whether its time was over too soon; `work` brings it up to date.
        store: knows what each has spent.
        work: works on some of them; False if the run was stopped.

    Returns:
        False if the run was stopped.
    """
    for _ in range(_MOST_TURNS):
        spendings = {each.id: Spending(store.times.of(each.id)[1], hungry.get(each.id, False)) for each in problems}
        allowed = next_allowances(budget_s, spendings)
        if not allowed:
            return True
        if not work((each, allowed[each.id]) for each in problems if each.id in allowed):
            return False
    return True
