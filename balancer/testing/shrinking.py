"""Shrinking of a counterexample: fewer and plainer calls that still show it.

Decides what counts as shorter: fewer calls, then fewer endpoints, then arguments that are as usual. It must not know
what is wrong with a strategy: it is told whether a sequence still shows it.
"""

from collections.abc import Callable, Iterator
from dataclasses import fields, replace
from inspect import Parameter, signature
from typing import Any, Final

from balancer.endpoint import Endpoint
from balancer.strategy import ANY, Request
from balancer.testing.call_sequence import Call, CallSequence
from balancer.testing.reference_check import ReferenceCheck

__all__ = ["shrink"]

_MOST_TRIES: Final = 3_000  # each plays a sequence, in a millisecond or a few


def shrink(sequence: CallSequence, shows: Callable[[CallSequence], bool]) -> CallSequence:
    """Return a shorter sequence that `shows` still holds of; `sequence` itself if there is none.

    A change is kept if the sequence still shows it; it is over when no single change is kept.
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
    """Yield sequences that are a little simpler, those first that are most likely to save the most."""
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
    """Yield an endpoint or a request with one field less that is not as usual; a lower number."""
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
