"""Sequences of calls on a pool: played on a `ReferenceCheck`, judged, shortened, and printed as a counterexample.

A walk, or the shrinking here, chooses the calls. A shorter counterexample has fewer calls, then fewer endpoints,
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
from balancer.settings.checked import not_defaults
from balancer.settings.rules import HealthSettings, HolderSettings, LimitSettings, QuotaSettings
from balancer.strategy import ANY, Request
from balancer.testing.draws import FULL_HOSTS
from balancer.testing.model_health import RulesInForce
from balancer.testing.referee import GrantRule
from balancer.testing.reference_check import ReferenceCheck, StrategyFactory

__all__ = ["Call", "CallSequence", "SequencePlayer", "counterexample", "describe", "shrink", "words_of"]

T = TypeVar("T")
_MOST_PLAYED: Final = 100_000  # calls, in some tenths of a millisecond each


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
    rules: RulesInForce = FULL_HOSTS


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
            rules=sequence.rules,
            seed=sequence.seed,
            law=self.law,
        )

    def play(self, reference: ReferenceCheck, call: Call) -> None:
        """Make one call; nothing if its object does not exist now."""
        about = self.about(reference, call.name)
        if about is None:
            getattr(reference, call.name)(**call.arguments)
        elif about and call.which is not None:
            getattr(reference, call.name)(about[call.which % len(about)], **call.arguments)

    def about(self, reference: ReferenceCheck, name: str) -> Sequence[Any] | None:
        """Return the objects of which a call of this name is about one; None: it is about none."""
        if name == "set_strategy":
            return self.makers
        return _ABOUT[name][1](reference) if name in _ABOUT else None

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


# What a call is about: in words, and where to find them.
_ABOUT: dict[str, tuple[str, Callable[[ReferenceCheck], Sequence[Any]]]] = {
    "release": ("lease out no. ", lambda reference: reference.out),
    "release_by_id": ("lease out no. ", lambda reference: reference.out),
    "used": ("lease out no. ", lambda reference: reference.out),
    "release_again": ("ended lease no. ", lambda reference: reference.ended),
    "cancel": ("waiter no. ", lambda reference: reference.waiting),
    "amend": ("waiter no. ", lambda reference: reference.waiting),
}


def describe(sequence: CallSequence) -> list[str]:
    """Return the sequence as text: a line for the pool and one for each call."""
    waiters = [] if sequence.max_waiters is None else [f"max_waiters={sequence.max_waiters}"]
    pool = ", ".join([f"[{', '.join(map(_brief, sequence.specs))}]", *waiters, *_rules(sequence)])
    return [f"Pool({pool})", *map(_told, sequence.calls)]


def _rules(sequence: CallSequence) -> list[str]:
    """Return the rules in force; of caps of hosts, only those that the pool begins with."""
    hosts = {"*", *(str(spec.host) for spec in sequence.specs)}
    caps = {host: cap for host, cap in sequence.rules.host_caps.items() if host in hosts}
    rules = replace(sequence.rules, host_caps=caps)
    return [name for name in _unusual(rules, RulesInForce()) if not name.startswith("groups")]


def counterexample(player: SequencePlayer, found: CallSequence, error: Exception) -> list[str]:
    """Return the fewest calls that still fail, a line each, and in the last line the error that they end with.

    Args:
        player: makes them.
        found: calls that failed.
        error: the error that they ended with.
    """
    last = player.breach(found)
    fewest = found  # if it depends on more than the calls, report the calls at least
    end = []
    if last is not None:

        def shows(shorter: CallSequence) -> bool:
            nonlocal last
            breach = player.breach(shorter)
            last = breach or last
            return breach is not None

        fewest = shrink(found, shows)
        error, done = last  # of the calls that were kept last; another play might draw differently
        if done > len(fewest.calls):
            end = ["(at the end each lease is released, and each slot is leased once more)"]
    lines = [f"    {line}" for line in [*describe(fewest), *end]]
    return ["the shortest sequence of calls found that shows it:", *lines, words_of(error)]


def words_of(error: Exception) -> str:
    """Return the error as one line. For an error of the strategy, with the place where it was raised."""
    if isinstance(error, StrategyError) and isinstance(error.__cause__, Exception):
        error = error.__cause__
    words = " ".join(str(error).split())
    if isinstance(error, AssertionError | StrategyError) and words:
        return words
    frame = extract_tb(error.__traceback__)[-1]
    raised = f"{type(error).__name__}: {words}" if words else type(error).__name__
    return f"{raised}, raised in {frame.name} ({Path(frame.filename).name}, line {frame.lineno})"


def _told(call: Call) -> str:
    noun = _ABOUT[call.name][0] if call.name in _ABOUT else "strategy no. "
    which = [] if call.which is None else [f"{noun}{call.which + 1}"]
    arguments = [f"{name}={_brief(value)}" for name, value in call.arguments.items()]
    return f"{call.name}({', '.join(which + arguments)})"


def _brief(value: object) -> str:
    """Return `value` as short text; of an endpoint, a request or settings, only fields that are not the default."""
    if isinstance(value, Endpoint):
        return f"Endpoint({', '.join([repr(value.url), *_unusual(value, Endpoint(value.url))])})"
    if isinstance(value, Request):
        return f"Request({', '.join(_unusual(value, ANY))})"
    if isinstance(value, HealthSettings | LimitSettings | QuotaSettings | HolderSettings):
        given = not_defaults(value)
        return f"{type(value).__name__}({', '.join(f'{name}={value!r}' for name, value in given.items())})"
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

    A change is kept if `shows` still holds. It ends when no single change is kept, or when it has taken long.
    """
    played = 0
    changed = True
    while changed:
        changed = False
        for simpler in _simpler(sequence):
            played += 1 + len(simpler.calls)
            if played > _MOST_PLAYED:
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
    for plainer in _plainer(sequence.rules):
        yield replace(sequence, rules=plainer)
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
    """Yield an endpoint, a request or rules with one more field at its default; or a lower number."""
    if isinstance(value, int) and value > 2:
        yield 2
    if not isinstance(value, Endpoint | Request | RulesInForce):
        return
    usual = Endpoint(value.url) if isinstance(value, Endpoint) else type(value)()
    for name in (field.name for field in fields(value) if field.init):
        given: Any = getattr(value, name)
        if given != getattr(usual, name):
            for plainer in (getattr(usual, name), *_plainer(given)):
                yield replace(value, **{name: plainer})
