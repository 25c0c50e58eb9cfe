"""Round table: the rounds of each problem with their batches of inputs, and the cases that were made smaller.

A batch is stored whole or not at all.
"""

import json
import sqlite3
from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass, field

from balancer.pipeline.results.database import Database
from balancer.pipeline.results.run_result import CaseState
from balancer.problem import Proposal

__all__ = ["SCHEMA", "GeneratorBatch", "ProposalBatch", "Rounds", "Shrunk", "replaced_by"]

_SHRINK = "shrink"  # name of the generator of cases that were made smaller

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
    """What a generator gave for a batch.

    Attributes:
        pulled: number of inputs, with known ones.
        made_up: number of these that are not the problem's own.
        seconds: time taken.
        dry: whether it has no more for this round.
        cpu_s: CPU seconds of programs that it ran.
    """

    pulled: int = 0
    made_up: int = 0
    seconds: float = 0.0
    dry: bool = False
    cpu_s: float = 0.0


@dataclass(frozen=True, slots=True)
class ProposalBatch:
    """Inputs that are stored together, or not at all.

    Attributes:
        proposals: the inputs.
        notes: for the report.
        asked: what each generator gave, by name.
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
        """Store the first inputs of a round after the existing ones, and mark the cases that they replace.

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
        """Return the batches of a round: for each, what every generator gave, by name."""
        rows = self._db.rows(
            "SELECT asked FROM batches WHERE problem = ? AND round = ? ORDER BY number", problem, number
        )
        return [{name: GeneratorBatch(**each) for name, each in json.loads(asked).items()} for (asked,) in rows]

    def add_own(self, problem: str, proposals: Iterable[Proposal]) -> None:
        """Store a problem's own data before its first round, unless it is stored."""
        with self._db.transaction() as db:
            if db.execute("SELECT 1 FROM cases WHERE problem = ?", (problem,)).fetchone() is None:
                self._add_cases(db, problem, 0, ProposalBatch(proposals), 0)

    def count_made_up(self, problem: str, number: int, *states: CaseState) -> int:
        """Return the number of inputs made up for round `number` that are in one of `states`."""
        row = self._db.row(
            "SELECT COUNT(*) FROM cases WHERE problem = ? AND round = ? AND NOT sample AND generator != ?"
            f" AND state IN ({', '.join('?' * len(states))})",
            problem, number, _SHRINK, *(state.value for state in states),
        )  # fmt: skip
        return int(row[0]) if row else 0

    def is_open(self, problem: str, number: int) -> bool:
        """Return whether an input of round `number` is not checked yet, or has no answer."""
        states = (CaseState.PROPOSED.value, CaseState.VALID.value)
        row = self._db.row(
            "SELECT 1 FROM cases WHERE problem = ? AND round = ? AND state IN (?, ?) LIMIT 1", problem, number, *states
        )
        return row is not None

    def spare(self, problem: str, number: int) -> None:
        """Mark the unchecked inputs of round `number` as spare: they are not needed, or there is no time."""
        self._db.do(
            "UPDATE cases SET state = ? WHERE problem = ? AND round = ? AND state = ?",
            CaseState.SPARE.value, problem, number, CaseState.PROPOSED.value,
        )  # fmt: skip

    def want_again(self, problem: str, number: int) -> None:
        """Mark the spare inputs of round `number` as unchecked."""
        self._db.do(
            "UPDATE cases SET state = ? WHERE problem = ? AND round = ? AND state = ?",
            CaseState.PROPOSED.value, problem, number, CaseState.SPARE.value,
        )  # fmt: skip

    def bring_back(self, problem: str, number: int, most: int) -> None:
        """Make `most` of the cases that round `number` replaced count again: it had no time for its own."""
        self._db.do(
            "UPDATE cases SET state = ?, note = '' WHERE problem = ? AND id IN (SELECT id FROM cases WHERE problem = ?"
            " AND state = ? AND note = ? ORDER BY id LIMIT ?)",
            CaseState.READY.value, problem, problem, CaseState.REPLACED.value, replaced_by(number), most,
        )  # fmt: skip

    def notes(self, problem: str, number: int | None = None) -> list[str]:
        """Return the notes of round `number`, or of all rounds."""
        rows = self._db.rows(
            "SELECT notes FROM rounds WHERE problem = ? AND (? IS NULL OR number = ?) ORDER BY number",
            problem, number, number,
        )  # fmt: skip
        return [note for (notes,) in rows for note in json.loads(notes)]

    def remark(self, problem: str, line: str, *, instead: str) -> None:
        """Add a note to the last round, in place of notes that begin with `instead`. An empty line removes these."""
        with self._db.transaction() as db:
            for number in range(self.count(problem)):
                notes = [note for note in self.notes(problem, number) if not note.startswith(instead)]
                if line and number == self.count(problem) - 1:
                    notes.append(line)
                db.execute(
                    "UPDATE rounds SET notes = ? WHERE problem = ? AND number = ?", (json.dumps(notes), problem, number)
                )

    def put_off(self, problem: str, why: str) -> None:
        """Record that the next round is left to another session, and why."""
        self._db.do("INSERT OR REPLACE INTO put_off VALUES (?, ?)", problem, why)

    def why_put_off(self, problem: str) -> list[str]:
        """Return why the next round is left to another session; empty if it is not."""
        return [why for (why,) in self._db.rows("SELECT why FROM put_off WHERE problem = ?", problem)]

    def count(self, problem: str) -> int:
        """Return the number of rounds that have begun."""
        row = self._db.row("SELECT COUNT(*) FROM rounds WHERE problem = ?", problem)
        return row[0] if row else 0

    def _add(self, problem: str, number: int, batch: ProposalBatch, place: int) -> None:
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
    """The cases that were tried for shrinking, each once for a submission, and the results. Thread-safe."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def tried(self, problem: str) -> set[tuple[int, str]]:
        """Return the tried cases, each with its submission."""
        rows = self._db.rows("SELECT parent, victim FROM shrunk WHERE problem = ?", problem)
        return {(parent, victim) for parent, victim in rows}

    def parents(self, problem: str) -> dict[int, int]:
        """Return smaller cases and their larger ones: id -> id."""
        found = "SELECT case_id, parent FROM shrunk WHERE problem = ? AND case_id IS NOT NULL"
        return dict(self._db.rows(found, problem))

    def add(self, problem: str, parent: int, victim: str, found: tuple[bytes, str] | None, at_s: float) -> None:
        """Record that `parent` was tried for `victim`, and what was found: a smaller valid input, with a note."""
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
    """Return the note of a case that was replaced for round `number`."""
    return f"made room for round {number}"
