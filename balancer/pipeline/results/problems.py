"""Problems of a run and their results, so that none need stay in memory.

Decides what is stored of a problem beside its own log: its name, the names of its programs, a fingerprint, and what it
came to when it was settled, with the sources of the survivors. Whatever was settled is only a sum of the problem's
events: it is deleted when they change.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from pydantic import TypeAdapter

from balancer.pipeline.results.log import EventLog, as_event
from balancer.pipeline.results.problem_log import EVENTS
from balancer.pipeline.results.run_result import GeneratorYield, LeftOutRow
from balancer.pipeline.results.tally import ProblemTally
from balancer.problem import Problem
from balancer.program import Program

__all__ = ["ProblemOutcome", "Problems", "Roster", "RosterEntry", "SeenBefore"]

_OF_A_RESULT = (*EVENTS, "believed", "withdrawn", "settled", "sources")
_MET = "SELECT problem, payload, json_extract(payload, '$[0]') AS number FROM events AS met WHERE kind = 'met'"
_SETTLED = "SELECT {} FROM events AS settled WHERE kind = 'settled' AND problem = met.problem"


class SeenBefore(Enum):
    """Whether and how a problem was met before."""

    NEW = "new"
    KNOWN = "known"  # begun in an earlier session
    DONE = "done"  # with nothing left to do
    CHANGED = "changed"  # it has changed: its results are deleted


@dataclass(frozen=True, slots=True)
class RosterEntry:
    """A submission without its program. Attributes as in `Submission`."""

    name: str
    accepted: bool
    expected: str


@dataclass(frozen=True, slots=True)
class Roster:
    """A problem without its data and programs. Attributes as in `Problem`; `number`: its place in the source."""

    id: str
    number: int
    name: str
    submissions: tuple[RosterEntry, ...]
    left_out: dict[str, str]


@dataclass(frozen=True, slots=True)
class ProblemOutcome:
    """What a problem came to.

    Attributes:
        tally: its figures.
        brought: the yield of each generator.
    """

    tally: ProblemTally
    brought: Sequence[GeneratorYield]


_OUTCOME = TypeAdapter(ProblemOutcome)


class Problems:
    """The problems of one run. Thread-safe."""

    def __init__(self, log: EventLog) -> None:
        self._log = log

    # -- meeting them --------------------------------------------------------------------------------

    def id_of(self, number: int, wanted: str) -> str:
        """Return the id of problem `number`: as before, else `wanted`, unless another problem has it."""
        known = self.at(number)
        if known is not None:
            return known.id
        return wanted if self._log.last("met", wanted) is None else f"{wanted}-row-{number}"

    def place_of(self, problem: str, wanted: int) -> int:
        """Return the number of a package: as before, else `wanted` if it is free, else the next free one."""
        met = self._log.last("met", problem)
        if met is not None:
            return int(met[0])
        places = self.places()
        return wanted if places is None or self.at(wanted) is None else places[1] + 1

    def meet(self, problem: Problem, number: int, fingerprint: str) -> SeenBefore:
        """Record a problem. Return how it was met before. The results of a changed problem are deleted."""
        met = self._log.last("met", problem.id)
        if met is not None and met[2] == fingerprint:
            if (self._log.last("settled", problem.id) or (False,))[0]:
                return SeenBefore.DONE
            self._log.replace(problem.id, ("settled", "sources"))
            return SeenBefore.KNOWN
        roster = [(each.name, each.accepted, each.expected) for each in problem.submissions]
        facts = (number, problem.name, fingerprint, roster, dict(problem.left_out))
        with self._log.transaction() as db:
            db.execute("DELETE FROM events WHERE kind = 'bad_row' AND json_extract(payload, '$[0]') = ?", (number,))
        self._log.replace(problem.id, ("met", *_OF_A_RESULT), [as_event(problem.id, "met", *facts)])
        return SeenBefore.NEW if met is None else SeenBefore.CHANGED

    def begin_anew(self, problems: Iterable[str]) -> None:
        """Delete the results of these problems, but not the problems."""
        for problem in problems:
            self._log.replace(problem, _OF_A_RESULT)

    def count(self) -> int:
        """Return the number of problems."""
        return int((self._log.row("SELECT COUNT(*) FROM events WHERE kind = 'met'") or (0,))[0])

    def at(self, number: int) -> Roster | None:
        """Return the problem at this place; None if there is none."""
        row = self._log.row(f"{_MET} AND json_extract(payload, '$[0]') = ?", number)
        return _roster(row) if row else None

    def places(self) -> tuple[int, int] | None:
        """Return the first and the last place with a problem; None if there are no problems."""
        number = "json_extract(payload, '$[0]')"
        row = self._log.row(f"SELECT MIN({number}), MAX({number}) FROM events WHERE kind = 'met'")
        return (row[0], row[1]) if row and row[0] is not None else None

    def rosters(self, *, most_survivors: int | None = None, unsettled: bool = False) -> Iterator[Roster]:
        """Yield the problems by their place.

        Args:
            most_survivors: only so many, those with most survivors, in that order.
            unsettled: only those without a result.
        """
        if most_survivors is not None:
            survivors = _SETTLED.format("json_extract(payload, '$[1]')")
            order = f"ORDER BY COALESCE(({survivors}), 0) DESC, number LIMIT ?"
            yield from map(_roster, self._log.rows(f"{_MET} {order}", most_survivors))
            return
        which = f" AND NOT EXISTS ({_SETTLED.format(1)})" if unsettled else ""
        yield from map(_roster, self._log.pages(f"{_MET}{which} AND number > ? ORDER BY number"))

    # -- their results -------------------------------------------------------------------------------

    def settle(self, settled: ProblemOutcome, *, done: bool, surviving: Sequence[Program]) -> None:
        """Store the result of a problem, and programs for readers of the report."""
        problem = settled.tally.id
        sources = [(each.language, each.source, each.name) for each in surviving]
        outcome = _OUTCOME.dump_python(settled, mode="json")
        told = as_event(problem, "settled", done, len(settled.tally.survivors), outcome)
        self._log.replace(problem, ("settled", "sources"), [told, as_event(problem, "sources", *sources)])

    def settled(self) -> Iterator[ProblemOutcome]:
        """Yield the stored results, by the problem's place."""
        result = _SETTLED.format("payload")
        sql = (
            f"SELECT ({result}) AS told, json_extract(payload, '$[0]') AS number FROM events AS met WHERE kind = 'met'"
        )
        for told, _ in self._log.pages(f"{sql} AND told IS NOT NULL AND number > ? ORDER BY number"):
            yield _OUTCOME.validate_python(json.loads(told)[2])

    def tally(self, problem: str) -> ProblemTally | None:
        """Return the tally of `problem`; None if there is none."""
        told = self._log.last("settled", problem)
        return _OUTCOME.validate_python(told[2]).tally if told else None

    def surviving(self, problem: str) -> list[Program]:
        """Return the surviving wrong programs of `problem`, named as their submissions."""
        found = (Program(*each) for each in self._log.last("sources", problem) or ())
        return sorted(found, key=lambda program: program.name)

    # -- what could not be used ----------------------------------------------------------------------

    def leave_out_row(self, number: int, why: str) -> None:
        """Record that a row could not be used."""
        self._log.add("", "bad_row", number, why)

    def left_out_rows(self, most: int) -> tuple[int, list[LeftOutRow]]:
        """Return the number of rows that could not be used, and the first `most` of them."""
        number = "json_extract(payload, '$[0]')"
        count = (self._log.row("SELECT COUNT(*) FROM events WHERE kind = 'bad_row'") or (0,))[0]
        rows = self._log.rows(f"SELECT payload FROM events WHERE kind = 'bad_row' ORDER BY {number} LIMIT ?", most)
        return count, [LeftOutRow(*json.loads(payload)) for (payload,) in rows]

    def leave_out_packages(self, found: Mapping[str, str]) -> None:
        """Record the packages that cannot be judged, name -> why. Replaces those of an earlier session."""
        self._log.add("", "bad_packages", dict(sorted(found.items())))

    def left_out_packages(self) -> dict[str, str]:
        """Return the packages that could not be judged, name -> why."""
        return dict((self._log.last("bad_packages") or ({},))[0])


def _roster(row: tuple[Any, ...]) -> Roster:
    identity, payload, _ = row
    number, name, _, submissions, left_out = json.loads(payload)
    return Roster(identity, number, name, tuple(RosterEntry(*each) for each in submissions), left_out)
