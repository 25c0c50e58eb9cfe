"""Sequences of calls on a pool: played on a `ReferenceCheck`, judged, shortened, and printed as a counterexample.

Hypothesis, or the shrinking here, chooses the calls. A shorter counterexample has fewer calls, then fewer endpoints,
then arguments closer to their defaults.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from enum import Enum
from inspect import Parameter, signature
from pathlib import Path
from traceback import extract_tb
from typing import Any, Final, TypeVar

from balancer.endpoint import Endpoint
from balancer.errors import StrategyError
from balancer.strategy import ANY, Request
from balancer.testing.draws import HOST_CAPS
from balancer.testing.referee import GrantRule
from balancer.testing.reference_check import ReferenceCheck, StrategyFactory
from balancer.testing.walk import FULL_HOSTS

__all__ = ["Call", "CallSequence", "SequencePlayer", "describe", "shrink", "words_of"]

T = TypeVar("T")
_MOST_TRIES: Final = 3_000  # each plays a sequence, in some milliseconds


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a method of `ReferenceCheck`.

    Args:
        name: the method.
        which: index of the object that it is about (e.g. of the leases out), counted round; None: of none.
        arguments: by name.
    """

    name: str
    which: int | None
    arguments: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class CallSequence:
    """A pool and the calls on it. `seed` is that of the strategy."""

    specs: tuple[Endpoint, ...]
    max_waiters: int | None
    seed: int
    calls: tuple[Call, ...] = ()


@dataclass(frozen=True, slots=True)
class SequencePlayer:
    """Plays sequences with the strategy of the first of `makers`. The others take over when a call says so."""

    makers: tuple[StrategyFactory, ...]
    law: GrantRule | None

    def open(self, sequence: CallSequence) -> ReferenceCheck:
        """Return the pool before the first call."""
        return ReferenceCheck(
            self.makers[0],
            sequence.specs,
            max_waiters=sequence.max_waiters,
            rules=FULL_HOSTS,
            seed=sequence.seed,
            law=self.law,
        )

    def play(self, reference: ReferenceCheck, call: Call) -> None:
        """Make one call; nothing if its object does not exist now."""
        about = self._about(reference, call)
        if call.which is None:
            getattr(reference, call.name)(**call.arguments)
        elif about:
            getattr(reference, call.name)(about[call.which % len(about)], **call.arguments)

    def breach(self, sequence: CallSequence) -> tuple[Exception, int] | None:
        """Return the error that the sequence ends with, and after how many calls; None if there is none."""
        done = 0
        try:
            reference = self.open(sequence)
            reference.check()
            for call in sequence.calls:
                done += 1
                self.play(reference, call)
                reference.check()
            done += 1
            reference.finish()
        except Exception as error:
            return error, done
        return None

    def _about(self, reference: ReferenceCheck, call: Call) -> Sequence[Any]:
        match call.name:
            case "release":
                return reference.out
            case "release_again":
                return reference.ended
            case "cancel" | "amend":
                return reference.waiting
            case _:
                return self.makers


_NOUNS = {
    "release": "lease out no. ",
    "release_again": "ended lease no. ",
    "cancel": "waiter no. ",
    "amend": "waiter no. ",
    "set_strategy": "strategy no. ",
}


def describe(sequence: CallSequence) -> list[str]:
    """Return the sequence as text: a line for the pool and one for each call."""
    waiters = [] if sequence.max_waiters is None else [f"max_waiters={sequence.max_waiters}"]
    caps = {str(spec.host): HOST_CAPS[str(spec.host)] for spec in sequence.specs if spec.host in HOST_CAPS}
    pool = ", ".join(
        [f"[{', '.join(map(_brief, sequence.specs))}]", *waiters, *([f"host_caps={caps}"] if caps else [])]
    )
    return [f"Pool({pool})", *map(_told, sequence.calls)]


def words_of(error: Exception) -> str:
    """Return the error as one line. For an error of the strategy, with the place where it was raised."""
    words = " ".join(str(error).split())
    if isinstance(error, AssertionError | StrategyError) and words:
        return words
    frame = extract_tb(error.__traceback__)[-1]
    raised = f"{type(error).__name__}: {words}" if words else type(error).__name__
    return f"{raised}, raised in {frame.name} ({Path(frame.filename).name}, line {frame.lineno})"


def _told(call: Call) -> str:
    which = [] if call.which is None else [f"{_NOUNS[call.name]}{call.which + 1}"]
    arguments = [f"{name}={_brief(value)}" for name, value in call.arguments.items()]
    return f"{call.name}({', '.join(which + arguments)})"


def _brief(value: object) -> str:
    """Return `value` as short text; of an endpoint or a request, only fields that are not the default."""
    if isinstance(value, Endpoint):
        return f"Endpoint({', '.join([repr(value.url), *_unusual(value, Endpoint(value.url))])})"
    if isinstance(value, Request):
        return f"Request({', '.join(_unusual(value, ANY))})"
    if isinstance(value, frozenset):
        return f"{{{', '.join(map(repr, sorted(value)))}}}"
    return str(value) if isinstance(value, Enum) else repr(value)


def _unusual(value: Any, usual: Any) -> list[str]:
    names = [
        field.name for field in fields(value) if field.init and getattr(value, field.name) != getattr(usual, field.name)
    ]
    return [f"{name}={_brief(getattr(value, name))}" for name in names]


def shrink(sequence: CallSequence, shows: Callable[[CallSequence], bool]) -> CallSequence:
    """Return a shorter sequence for which `shows` still holds; `sequence` itself if there is none.

    A change is kept if `shows` still holds. It ends when no single change is kept.
    """
    tries = 0
    changed = True
    while changed:
        changed = False
        for simpler in _simpler(sequence):
            tries += 1
            if tries > _MOST_TRIES:
                return sequence
            if shows(simpler):
                sequence, changed = simpler, True
                break
    return sequence


def _simpler(sequence: CallSequence) -> Iterator[CallSequence]:
    """Yield slightly simpler sequences, first those that are likely to save the most."""
    calls = sequence.calls
    size = (len(calls) + 1) // 2
    while size:
        for start in range(len(calls) - size, -1, -size):
            yield replace(sequence, calls=calls[:start] + calls[start + size :])
        size = size // 2
    for number, call in enumerate(calls):
        if call.name == "add" and not any(spec.url == call.arguments["spec"].url for spec in sequence.specs):
            others = calls[:number] + calls[number + 1 :]
            yield replace(sequence, specs=(*sequence.specs, call.arguments["spec"]), calls=others)
    for number in range(len(sequence.specs)):
        yield replace(sequence, specs=sequence.specs[:number] + sequence.specs[number + 1 :])
    if sequence.max_waiters is not None:
        yield replace(sequence, max_waiters=None)
    if sequence.seed:
        yield replace(sequence, seed=0)
    for number, spec in enumerate(sequence.specs):
        for plainer in _plainer(spec):
            yield replace(sequence, specs=(*sequence.specs[:number], plainer, *sequence.specs[number + 1 :]))
    for number, call in enumerate(calls):
        for usual in _more_usual(call):
            yield replace(sequence, calls=(*calls[:number], usual, *calls[number + 1 :]))


def _more_usual(call: Call) -> Iterator[Call]:
    if call.which:
        yield replace(call, which=0)
    known = signature(getattr(ReferenceCheck, call.name)).parameters
    for name, value in call.arguments.items():
        left = {other: given for other, given in call.arguments.items() if other != name}
        if name not in known or known[name].default is not Parameter.empty:
            yield replace(call, arguments=left)
        for plainer in _plainer(value):
            yield replace(call, arguments={**call.arguments, name: plainer})


def _plainer(value: Any) -> Iterator[Any]:
    """Yield an endpoint or a request with one more field at its default; or a lower number."""
    if isinstance(value, int) and value > 2:
        yield 2
    if not isinstance(value, Endpoint | Request):
        return
    usual = ANY if isinstance(value, Request) else Endpoint(value.url)
    for name in (field.name for field in fields(value) if field.init):
        given: Any = getattr(value, name)
        if given != getattr(usual, name):
            for plainer in (getattr(usual, name), *_plainer(given)):
                yield replace(value, **{name: plainer})
