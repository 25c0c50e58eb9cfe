"""Log of one problem, and what it comes to: its cases, verdicts, rounds, and who judges it.

Decides what each kind of event means. Each is a method, with the payload as its arguments: it changes what is known,
and goes to the sink. Played again in their order, the events come to the same. It never judges.
"""

import threading
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from enum import Enum
from functools import wraps
from typing import Any, Concatenate, Final, NamedTuple, ParamSpec

from balancer.pipeline.results.log import Event, as_event
from balancer.problem import Origin, Proposal, Verdict
from balancer.program import Program

__all__ = [
    "EVENTS",
    "CaseState",
    "GeneratorBatch",
    "ProblemFacts",
    "ProblemLog",
    "ProposalBatch",
    "StoredCase",
    "StoredVerdict",
    "replaced_by",
]


class CaseState(Enum):
    """The state of a proposed input."""

    PROPOSED = "proposed"  # not checked yet
    INVALID = "invalid"  # an input validator refused it
    SPARE = "spare"  # not checked: there were enough before it, or no time
    VALID = "valid"  # valid, without an expected output yet
    CONTESTED = "contested"  # accepted submissions disagree on it, or an output cannot be judged: only reported
    READY = "ready"  # has an expected output that the accepted submissions agree with
    UNJUDGED = "unjudged"  # the infrastructure failed
    UNCHECKED = "unchecked"  # an input validator does not answer, on any endpoint: not used
    REPLACED = "replaced"  # it was ready, but kills nothing, and a later round replaced it


P = ParamSpec("P")
EVENTS: dict[str, Callable[..., None]] = {}
"""Kind -> what it does to a log."""
SHRINK: Final = "shrink"  # name of the generator of cases that were made smaller
_JUDGED: Final = (CaseState.READY, CaseState.CONTESTED, CaseState.UNJUDGED)
_VERDICTS: Final = {each.value: each for each in Verdict}  # faster than Verdict(...), for the most frequent events


@dataclass(frozen=True, slots=True)
class StoredCase:
    """A proposed input and its state; `answer` is None until there is an expected output."""

    id: int
    data: bytes
    answer: bytes | None
    origin: Origin
    sample: bool
    state: CaseState
    note: str
    round: int = 0
    batch: int = field(default=0, compare=False)


class StoredVerdict(NamedTuple):
    """The verdict of one case on one submission."""

    submission: str
    case: int
    verdict: Verdict
    time_s: float
    note: str


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
    """

    proposals: Iterable[Proposal] = ()
    notes: Iterable[str] = ()
    asked: Mapping[str, GeneratorBatch] = field(default_factory=dict)


def _event(
    change: Callable[Concatenate["ProblemLog", P], None],
) -> Callable[Concatenate["ProblemLog", P], None]:
    """Make a method an event: what it is called with goes to the sink, too."""
    kind = change.__name__
    EVENTS[kind] = change

    @wraps(change)
    def happen(self: "ProblemLog", /, *payload: P.args, **named: P.kwargs) -> None:
        with self._lock:
            change(self, *payload, **named)  # none is named: all are positional only
            self._sink([as_event(self.problem, kind, *payload)])

    return happen


class ProblemFacts:
    """What is known of one problem.

    Attributes:
        left_out: submission or validator -> why it is not used. Never changed, only replaced.
        codes: validator -> the exit codes with which it accepts and refuses.
        limit_s: the time limit that replaces the problem's own; None: its own holds.
        troubles: what a person must know first, each once.
        brought: role -> the program of a generator that has it.
        why_put_off: why the next round is left to another session; "" if it is not.
        spent_s: seconds spent on made-up inputs.
        parents: smaller cases and their larger ones, id -> id.
        tried: cases that were tried for shrinking, each with its submission.
    """

    def __init__(self) -> None:
        self._cases: dict[int, StoredCase] = {}
        self._verdicts: dict[tuple[str, int], StoredVerdict] = {}
        self._batches: dict[int, list[dict[str, GeneratorBatch]]] = {}
        self._notes: dict[int, list[str]] = {}
        self.left_out: Mapping[str, str] = {}
        self.codes: dict[str, tuple[int, frozenset[int]]] = {}
        self.limit_s: float | None = None
        self.troubles: dict[str, None] = {}
        self.brought: dict[str, Program] = {}
        self.why_put_off = ""
        self.spent_s = 0.0
        self.parents: dict[int, int] = {}
        self.tried: set[tuple[int, str]] = set()

    def has_begun(self, number: int) -> bool:
        """Return whether round `number` has its inputs, from this session or an earlier one."""
        return number in self._notes

    @property
    def rounds(self) -> int:
        """Number of rounds that have begun."""
        return len(self._notes)

    def notes(self, number: int | None = None) -> list[str]:
        """Return the notes of round `number`, or of all rounds."""
        return [note for each in sorted(self._notes) if number in (None, each) for note in self._notes[each]]

    def batches(self, number: int | None = None) -> list[dict[str, GeneratorBatch]]:
        """Return the batches of a round, or of all: for each, what every generator gave, by name."""
        return [batch for each, some in self._batches.items() if number in (None, each) for batch in some]

    def count_made_up(self, number: int, *states: CaseState) -> int:
        """Return the number of inputs made up for round `number` that are in one of `states`."""
        return sum(c.round == number and not c.sample and c.origin.generator != SHRINK for c in self.cases(*states))

    def is_open(self, number: int) -> bool:
        """Return whether an input of round `number` is not checked yet, or has no answer."""
        return any(case.round == number for case in self.cases(CaseState.PROPOSED, CaseState.VALID))

    def cases(self, *states: CaseState) -> list[StoredCase]:
        """Return the cases that are in one of `states` (default: all), by id."""
        return [case for case in list(self._cases.values()) if not states or case.state in states]

    def case(self, case: int) -> StoredCase:
        """Return a case as it is now."""
        return self._cases[case]

    def verdicts(self, cases: Iterable[StoredCase] | None = None) -> dict[tuple[str, int], StoredVerdict]:
        """Return the verdicts so far, by submission and case: all, or those on `cases`."""
        found = self._verdicts.copy()
        if cases is None:
            return found
        wanted = {case.id for case in cases}
        return {at: each for at, each in found.items() if at[1] in wanted}

    def verdict(self, submission: str, case: int) -> StoredVerdict | None:
        """Return the verdict on a submission; None if there is none."""
        return self._verdicts.get((submission, case))


class ProblemLog(ProblemFacts):
    """The events of one problem, and what is known by them. Thread-safe.

    Args:
        problem: its id.
        sink: takes the events that are new.
        past: kind and payload of the earlier ones.
    """

    def __init__(
        self,
        problem: str,
        sink: Callable[[Sequence[Event]], object] = lambda events: None,
        past: Iterable[tuple[str, Sequence[Any]]] = (),
    ) -> None:
        super().__init__()
        self.problem = problem
        self._sink = sink
        self._lock = threading.RLock()
        for kind, payload in past:
            EVENTS[kind](self, *payload)

    # -- rounds --------------------------------------------------------------------------------------

    def propose(self, number: int, batch: ProposalBatch, replaced: Collection[int] = ()) -> None:
        """Store the first inputs of a round, or further ones, after the existing ones.

        Args:
            number: of the round.
            batch: its inputs.
            replaced: ids of cases that they replace.
        """
        asked = {name: asdict(each) for name, each in batch.asked.items()}
        self.asked(number, _told(batch.proposals), list(batch.notes), asked, list(replaced))

    def add_own(self, proposals: Iterable[Proposal]) -> None:
        """Store a problem's own data before its first round, unless it is stored."""
        if not self._cases and (own := _told(proposals)):
            self.proposed(own)

    @_event
    def proposed(self, proposals: Sequence[Sequence[Any]], /) -> None:
        """The problem has these inputs of its own."""
        self._add(proposals, 0, 0)

    @_event
    def asked(
        self,
        number: int,
        proposals: Sequence[Sequence[Any]],
        notes: Sequence[str],
        asked: Mapping[str, Mapping[str, Any]],
        replaced: Sequence[int],
        /,
    ) -> None:
        """The generators have been asked for a batch of a round, and gave these inputs, which replace some cases."""
        if number not in self._notes:
            self.why_put_off = ""
        self._notes[number] = [*self._notes.get(number, ()), *notes]
        batches = self._batches.setdefault(number, [])
        self._add(proposals, number, len(batches))
        batches.append({name: GeneratorBatch(**each) for name, each in asked.items()})
        for case in replaced:
            self._cases[case] = replace(self._cases[case], state=CaseState.REPLACED, note=replaced_by(number))

    def _add(self, proposals: Sequence[Sequence[Any]], number: int, place: int) -> None:
        for data, answer, generator, detail, sample in proposals:
            case, known = max(self._cases, default=0) + 1, None if answer is None else _bytes(answer)
            self._cases[case] = StoredCase(
                case, _bytes(data), known, Origin(generator, detail), sample, CaseState.PROPOSED, "", number, place
            )

    @_event
    def put_off(self, why: str, /) -> None:
        """The next round is left to another session."""
        self.why_put_off = why

    @_event
    def remark(self, line: str, instead: str, /) -> None:
        """The last round has a note, in place of notes that begin with `instead`. An empty line removes these."""
        for number, notes in self._notes.items():
            self._notes[number] = [note for note in notes if not note.startswith(instead)]
        if line and self._notes:
            self._notes[max(self._notes)].append(line)

    @_event
    def spare(self, number: int, /) -> None:
        """The unchecked inputs of a round are not needed, or there is no time."""
        self._restate(CaseState.PROPOSED, CaseState.SPARE, lambda case: case.round == number)

    @_event
    def want_again(self, number: int, /) -> None:
        """The spare inputs of a round are to be checked."""
        self._restate(CaseState.SPARE, CaseState.PROPOSED, lambda case: case.round == number)

    @_event
    def bring_back(self, number: int, most: int, /) -> None:
        """Some cases that a round replaced count again: it had no time for its own."""
        note = replaced_by(number)
        gone = [each.id for each in self.cases(CaseState.REPLACED) if each.note == note][:most]
        self._restate(CaseState.REPLACED, CaseState.READY, lambda case: case.id in gone)

    # -- cases ---------------------------------------------------------------------------------------

    @_event
    def set_case(self, case: int, state: CaseState, note: str = "", answer: bytes | str | None = None, /) -> None:
        """A case has this state. If `answer` is None, the stored answer stays."""
        known = self._cases[case]
        told = known.answer if answer is None else _bytes(answer)
        self._cases[case] = replace(known, state=CaseState(state), note=note, answer=told)

    @_event
    def reopen(self) -> None:
        """What the infrastructure prevented is to be tried again."""
        lost = self.cases(CaseState.UNJUDGED)
        self._restate(CaseState.UNJUDGED, CaseState.PROPOSED, lambda case: True)
        self._verdicts = {at: each for at, each in self._verdicts.items() if each.verdict is not Verdict.UNJUDGED}
        if lost:  # a case that counts again may make others superfluous, or the other way round
            self._restate(CaseState.SPARE, CaseState.PROPOSED, lambda case: True)

    @_event
    def answer_again(self, case: int, /) -> None:
        """The expected output of a case was wrong: there is none now, and no verdict on the case."""
        self._verdicts = {at: each for at, each in self._verdicts.items() if at[1] != case}
        self._cases[case] = replace(self._cases[case], state=CaseState.VALID, note="", answer=None)

    @_event
    def shrunk(self, parent: int, victim: str, data: bytes | str | None, detail: str, /) -> None:
        """A case was tried for a submission; `data`: the smaller valid input that was found, if it is new."""
        self.tried.add((parent, victim))
        if data is not None and all(each.data != _bytes(data) for each in self._cases.values()):
            case, origin = max(self._cases) + 1, Origin(SHRINK, detail)
            number = self._cases[parent].round
            self._cases[case] = StoredCase(case, _bytes(data), None, origin, False, CaseState.VALID, "", number)
            self.parents[case] = parent

    def _restate(self, before: CaseState, after: CaseState, which: Callable[[StoredCase], bool]) -> None:
        for case in self.cases(before):
            if which(case):
                self._cases[case.id] = replace(case, state=after, note="" if after is CaseState.READY else case.note)

    # -- verdicts ------------------------------------------------------------------------------------

    @_event
    def judged(self, name: str, case: int, verdict: Verdict, time_s: float, note: str, /) -> None:
        """A submission has a verdict on a case."""
        self._verdicts[name, case] = StoredVerdict(
            name, case, _VERDICTS[verdict] if isinstance(verdict, str) else verdict, time_s, note
        )

    @_event
    def forget_verdicts(self, of: Sequence[tuple[str, int]], /) -> None:
        """These submissions on these cases have no verdict any more."""
        for name, case in of:
            self._verdicts.pop((name, case), None)

    @_event
    def leave_out(self, name: str, why: str, /) -> None:
        """A submission or a validator is not used."""
        self.left_out = dict(sorted({**self.left_out, name: why}.items()))

    # -- who judges ----------------------------------------------------------------------------------

    @_event
    def set_codes(self, program: str, accepts: int, refuses: Sequence[int], /) -> None:
        """A validator accepts and refuses with these exit codes."""
        self.codes[program] = accepts, frozenset(refuses)

    @_event
    def set_limit(self, cpu_s: float, /) -> None:
        """This time limit replaces the problem's own."""
        self.limit_s = cpu_s

    @_event
    def trouble(self, line: str, /) -> None:
        """There is something that a person must know first."""
        self.troubles[line] = None

    @_event
    def forget_troubles(self) -> None:
        """The troubles that still exist will be found again."""
        self.troubles.clear()

    @_event
    def bring(self, role: str, language: str, source: str, name: str, /) -> None:
        """A program of a generator is its validator, checker or generator program. With a new checker all is judged
        again.
        """
        program = Program(language, source, name)
        if role == "checker" and self.brought.get(role) != program:
            self._verdicts.clear()
            for state in _JUDGED:
                self._restate(state, CaseState.VALID, lambda case: True)
        self.brought[role] = program

    @_event
    def spent(self, seconds: float, /) -> None:
        """So many seconds were spent on made-up inputs, in all sessions together."""
        self.spent_s = seconds


def replaced_by(number: int) -> str:
    """Return the note of a case that was replaced for round `number`."""
    return f"made room for round {number}"


def _told(proposals: Iterable[Proposal]) -> list[tuple[object, ...]]:
    return [(each.data, each.answer, each.origin.generator, each.origin.detail, each.sample) for each in proposals]


def _bytes(data: bytes | str) -> bytes:
    return data if isinstance(data, bytes) else data.encode("latin-1")
