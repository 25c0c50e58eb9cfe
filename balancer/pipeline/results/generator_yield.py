"""Yield of each generator: inputs, cases, kills, and the time that it took.

Decides what counts as brought: a kill belongs to the generator of the case; the first kill of a submission to the one
whose case was the first to kill it. It must not know generators but by name.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from balancer.pipeline.results.database import Database
from balancer.pipeline.results.problem_times import FirstKill

__all__ = ["GeneratorYield", "generator_yields"]


@dataclass(frozen=True, slots=True)
class GeneratorYield:
    """What one generator brought.

    Attributes:
        generator: its name; "shrink" are cases that were made smaller.
        proposed: inputs that were stored; `valid`: those that the validators accept; `cases`: those that are used.
        kills: pairs of a case of its and a wrong submission that it rejects.
        first_kills: wrong submissions that a case of its was the first to reject.
        asked_s: seconds that it was asked for; `run_s`: of program runs on its inputs.
    """

    generator: str
    proposed: int
    valid: int
    cases: int
    kills: int
    first_kills: int
    asked_s: float
    run_s: float

    def to_dict(self) -> dict[str, Any]:
        """Return it as what JSON has."""
        return asdict(self)


def generator_yields(database: Database, kills: Sequence[FirstKill]) -> tuple[GeneratorYield, ...]:
    """Return what each generator brought, those with the most first kills first.

    Args:
        database: of the run.
        kills: the first kills.
    """
    first = Counter(kill.generator for kill in kills)
    asked_s: defaultdict[str, float] = defaultdict(float)
    for (asked,) in database.rows("SELECT asked FROM batches"):
        for name, each in json.loads(asked).items():
            asked_s[name] += each["seconds"]
    run_s = dict(
        database.rows(
            "SELECT c.generator, SUM(s.ended_s - s.started_s) FROM spans s"
            " JOIN cases c ON c.problem = s.problem AND c.id = s.case_id GROUP BY c.generator"
        )
    )
    killed = dict(
        database.rows(
            "SELECT c.generator, COUNT(*) FROM first_kills f"
            " JOIN verdicts v ON v.problem = f.problem AND v.submission = f.submission"
            " JOIN cases c ON c.problem = v.problem AND c.id = v.case_id"
            " WHERE c.state = 'ready' AND v.verdict NOT IN ('accepted', 'unjudged') GROUP BY c.generator"
        )
    )
    counts = database.rows(
        "SELECT generator, COUNT(*), SUM(state IN ('valid', 'contested', 'ready', 'replaced')), SUM(state = 'ready')"
        " FROM cases GROUP BY generator"
    )
    found = {
        name: GeneratorYield(
            name, proposed, valid, cases, killed.get(name, 0), first[name], asked_s[name], run_s.get(name, 0.0)
        )
        for name, proposed, valid, cases in counts
    }
    for name in asked_s:  # one that had nothing to say has taken its time as well
        found.setdefault(name, GeneratorYield(name, 0, 0, 0, 0, 0, asked_s[name], 0.0))
    return tuple(sorted(found.values(), key=lambda each: (-each.first_kills, -each.kills, each.generator)))
