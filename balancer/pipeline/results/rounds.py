"""Round table: which rounds have begun, with what inputs, and which cases were made smaller after them.

Decides what is durable of a round: its inputs come in batches, each of them whole or not at all.
"""

import json
import sqlite3
from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass, field

from balancer.pipeline.results.database import Database
from balancer.pipeline.results.run_result import CaseState
from balancer.problem import Proposal

__all__ = ["SCHEMA", "GeneratorBatch", "ProposalBatch", "Rounds", "Shrunk", "replaced_by"]

_SHRINK = "shrink"  # the generator that a case is said to come from that was made smaller

SCHEMA = """
CREATE TABLE IF NOT EXISTS rounds (problem TEXT, number INTEGER, notes TEXT NOT NULL, PRIMARY KEY (problem, number));
CREATE TABLE IF NOT EXISTS put_off (problem TEXT PRIMARY KEY, why TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS batches (
    problem TEXT, round INTEGER, number INTEGER, asked TEXT NOT NULL, PRIMARY KEY (problem, round, number));
CREATE TABLE IF NOT EXISTS shrunk (
    problem TEXT, parent INTEGER, victim TEXT, case_id INTEGER, PRIMARY KEY (problem, parent, victim));
"""


@dataclass(frozen=True, slots=True)
class GeneratorBatch:
    """What asking a generator for a batch came to.

    Attributes:
        pulled: inputs that it gave, known ones included.
        made_up: those of them that are not the problem's own.
        seconds: that it took.
        dry: whether it has nothing more for this round.
    """

    pulled: int = 0
    made_up: int = 0
    seconds: float = 0.0
    dry: bool = False


@dataclass(frozen=True, slots=True)
class ProposalBatch:
    """Inputs that come together: all of them are stored, or none.

    Attributes:
        proposals: the inputs.
        notes: what people should know.
        asked: what asking each generator came to, by name.
        at_s: seconds for which the problem was at work.
    """

    proposals: Iterable[Proposal] = ()
    notes: Iterable[str] = ()
    asked: Mapping[str, GeneratorBatch] = field(default_factory=dict)
    at_s: float = 0.0


class Rounds:
    """The rounds of all problems of one run. Thread-safe."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def has_begun(self, problem: str, number: int) -> bool:
        """Return whether round `number` has its inputs, from this session or an earlier one."""
        return self._db.row("SELECT 1 FROM rounds WHERE problem = ? AND number = ?", problem, number) is not None

    def begin(self, problem: str, number: int, batch: ProposalBatch, replaced: Collection[int] = ()) -> None:
        """Store the first inputs of a round behind those that are there, and take the cases out that they replace.

        Args:
            problem, number: the round.
            batch: its inputs.
            replaced: ids of cases.
        """
        with self._db.transaction() as db:
            self._add(problem, number, batch, 0)
            db.execute("INSERT INTO rounds VALUES (?, ?, ?)", (problem, number, json.dumps(list(batch.notes))))
            db.execute("DELETE FROM put_off WHERE problem = ?", (problem,))
            db.executemany(
                "UPDATE cases SET state = ?, note = ? WHERE problem = ? AND id = ?",
                [(CaseState.REPLACED.value, replaced_by(number), problem, case) for case in replaced],
            )

    def go_on(self, problem: str, number: int, batch: ProposalBatch) -> None:
        """Store a further batch of inputs of a round that has begun."""
        with self._db.transaction() as db:
            place = len(self.batches(problem, number))
            self._add(problem, number, batch, place)
            notes = json.dumps([*self.notes(problem, number), *batch.notes])
            db.execute("UPDATE rounds SET notes = ? WHERE problem = ? AND number = ?", (notes, problem, number))

    def batches(self, problem: str, number: int) -> list[dict[str, GeneratorBatch]]:
        """Return the batches of a round: what asking each generator came to, by name."""
        rows = self._db.rows(
            "SELECT asked FROM batches WHERE problem = ? AND round = ? ORDER BY number", problem, number
        )
        return [{name: GeneratorBatch(**each) for name, each in json.loads(asked).items()} for (asked,) in rows]

    def add_own(self, problem: str, proposals: Iterable[Proposal]) -> None:
        """Store a problem's own data, before its first round; once is enough."""
        with self._db.transaction() as db:
            if db.execute("SELECT 1 FROM cases WHERE problem = ?", (problem,)).fetchone() is None:
                self._add_cases(db, problem, 0, ProposalBatch(proposals), 0)

    def count_made_up(self, problem: str, number: int, *states: CaseState) -> int:
        """Return how many inputs that were made up for round `number` are in one of `states`."""
        row = self._db.row(
            "SELECT COUNT(*) FROM cases WHERE problem = ? AND round = ? AND NOT sample AND generator != ?"
            f" AND state IN ({', '.join('?' * len(states))})",
            problem, number, _SHRINK, *(state.value for state in states),
        )  # fmt: skip
        return int(row[0]) if row else 0

    def is_open(self, problem: str, number: int) -> bool:
        """Return whether some input of round `number` is not yet checked, or has no answer."""
        states = (CaseState.PROPOSED.value, CaseState.VALID.value)
        row = self._db.row(
            "SELECT 1 FROM cases WHERE problem = ? AND round = ? AND state IN (?, ?) LIMIT 1", problem, number, *states
        )
        return row is not None

    def spare(self, problem: str, number: int) -> None:
        """Put aside the inputs of round `number` that were not checked: there are enough, or there is no time."""
        self._db.do(
            "UPDATE cases SET state = ? WHERE problem = ? AND round = ? AND state = ?",
            CaseState.SPARE.value, problem, number, CaseState.PROPOSED.value,
        )  # fmt: skip

    def notes(self, problem: str, number: int | None = None) -> list[str]:
        """Return what was noted as round `number`, or any round, began."""
        rows = self._db.rows(
            "SELECT notes FROM rounds WHERE problem = ? AND (? IS NULL OR number = ?) ORDER BY number",
            problem, number, number,
        )  # fmt: skip
        return [note for (notes,) in rows for note in json.loads(notes)]

    def put_off(self, problem: str, why: str) -> None:
        """Record that the next round is left to another session, and why."""
        self._db.do("INSERT OR REPLACE INTO put_off VALUES (?, ?)", problem, why)

    def why_put_off(self, problem: str) -> list[str]:
        """Return why the next round is left to another session; nothing if it is not."""
        return [why for (why,) in self._db.rows("SELECT why FROM put_off WHERE problem = ?", problem)]

    def count(self, problem: str) -> int:
        """Return how many rounds have begun."""
        row = self._db.row("SELECT COUNT(*) FROM rounds WHERE problem = ?", problem)
        return row[0] if row else 0

    def _add(self, problem: str, number: int, batch: ProposalBatch, place: int) -> None:
        """Store the inputs of a batch, and what asking for them came to."""
        asked = json.dumps({name: asdict(each) for name, each in batch.asked.items()})
        with self._db.using() as db:
            self._add_cases(db, problem, number, batch, place)
            db.execute("INSERT INTO batches VALUES (?, ?, ?, ?)", (problem, number, place, asked))

    def _add_cases(self, db: sqlite3.Connection, problem: str, number: int, batch: ProposalBatch, place: int) -> None:
        first = db.execute("SELECT COALESCE(MAX(id), 0) FROM cases WHERE problem = ?", (problem,)).fetchone()[0]
        rows = [
            (problem, i, p.data, p.answer, p.origin.generator, p.origin.detail, p.sample, CaseState.PROPOSED.value, "",
             number)
            for i, p in enumerate(batch.proposals, start=first + 1)
        ]  # fmt: skip
        db.executemany("INSERT INTO cases VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)
        moments = [(problem, row[1], place, batch.at_s) for row in rows]
        db.executemany("INSERT INTO moments VALUES (?, ?, ?, ?)", moments)


class Shrunk:
    """Cases that were made smaller: of which, and for whom; each case is tried once. Thread-safe."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def tried(self, problem: str) -> set[tuple[int, str]]:
        """Return which cases were tried, and for whom."""
        rows = self._db.rows("SELECT parent, victim FROM shrunk WHERE problem = ?", problem)
        return {(parent, victim) for parent, victim in rows}

    def parents(self, problem: str) -> dict[int, int]:
        """Return the smaller cases, by id: the id of the one that each was made of."""
        found = "SELECT case_id, parent FROM shrunk WHERE problem = ? AND case_id IS NOT NULL"
        return dict(self._db.rows(found, problem))

    def add(self, problem: str, parent: int, victim: str, found: tuple[bytes, str] | None, at_s: float) -> None:
        """Remember that `parent` was tried for `victim`, and what was found: a smaller valid input, and how."""
        with self._db.transaction() as db:
            case = None
            if (
                found is not None
                and not db.execute("SELECT 1 FROM cases WHERE problem = ? AND data = ?", (problem, found[0])).fetchone()
            ):
                data, detail = found
                case = db.execute("SELECT MAX(id) + 1 FROM cases WHERE problem = ?", (problem,)).fetchone()[0]
                db.execute(
                    "INSERT INTO cases SELECT problem, ?, ?, NULL, ?, ?, 0, ?, '', round FROM cases"
                    " WHERE problem = ? AND id = ?",
                    (case, data, _SHRINK, detail, CaseState.VALID.value, problem, parent),
                )
                db.execute("INSERT INTO moments VALUES (?, ?, 0, ?)", (problem, case, at_s))
            db.execute("INSERT OR REPLACE INTO shrunk VALUES (?, ?, ?, ?)", (problem, parent, victim, case))


def replaced_by(number: int) -> str:
    """Return the note of a case that made room for round `number`."""
    return f"made room for round {number}"
