"""Trace summary: counts and times, as text and as data.

Open calls are in no mean or quantile of times; they are counted separately.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from math import ceil, fsum
from typing import Any, Final

from balancer.observing.traces.files import Trace
from balancer.observing.traces.rows import Attempt

__all__ = ["summary_lines", "summary_of"]

_NOT_IMPORTED: Final[Mapping[str, Any]] = {
    "format": None, "left_out": 0, "left_out_kinds": {}, "notes": {}, "unread": 0, "first_unread": [],
}  # fmt: skip
"""What a summary says of a log, for a trace that is no log."""


def summary_of(trace: Trace) -> dict[str, Any]:
    """Return the summary as plain data; times in seconds."""
    attempts = trace.attempts
    return {
        "runs": len(trace.runs) or len({each.run for each in attempts}),
        "ended": len(trace.ended),
        "lasts_s": fsum(_length_s(mine) for mine in _by(attempts, "run").values()),
        "lost": trace.lost,
        "cut": trace.cut,
        **_NOT_IMPORTED,
        **_figures(attempts),
        "tasks": len({(each.run, each.task) for each in attempts if each.task is not None}),
        "endpoints": {name: _figures(mine) for name, mine in _by(attempts, "endpoint").items()},
        "kinds": {name: _figures(mine) for name, mine in _by(attempts, "kind").items()},
        "events": dict(sorted(Counter(event.event for event in trace.events).items())),
    }


def summary_lines(found: dict[str, Any]) -> Iterator[str]:
    """Yield the lines of the summary, for people."""
    runs = "1 run" if found["runs"] == 1 else f"{found['runs']} runs"
    yield f"{runs}, {found['lasts_s']:.3f} s: {_words(found)}"
    for title in ("endpoints", "kinds"):
        if found[title]:
            yield f"{title}:"
            yield from (f"  {name}: {_words(figures)}" for name, figures in found[title].items())
    if found["events"]:
        yield "events: " + ", ".join(f"{name} {count}" for name, count in found["events"].items())
    if found["ended"] < found["runs"]:
        yield "a run has no end: it was killed or is still running; calls in flight may be missing"
    if found["cut"]:
        yield "an incomplete line was left out"
    if found["lost"]:
        yield f"{found['lost']} rows were lost: the writer did not keep up"
    if found["format"] is not None:
        yield f"read as a log of {found['format']}"
    for kind, count in found["left_out_kinds"].items():
        yield f"{count} {'line' if count == 1 else 'lines'} {kind}: left out"
    for said, count in found["notes"].items():
        yield f"{said}: {count}"
    if found["unread"]:
        yield f"lines that could not be read: {found['unread']}"
        yield from (f"  {each}" for each in found["first_unread"])


def _by(attempts: Iterable[Attempt], name: str) -> dict[str, list[Attempt]]:
    found = defaultdict(list)
    for each in attempts:
        value = getattr(each, name)
        if value is not None:
            found[str(value)].append(each)
    return dict(sorted(found.items()))


def _length_s(attempts: Sequence[Attempt]) -> float:
    return max(each.ended_s for each in attempts) - min(each.asked_s for each in attempts)


def _figures(attempts: Sequence[Attempt]) -> dict[str, Any]:
    ended = [each for each in attempts if not each.open]
    return {
        "attempts": len(attempts),
        "open": len(attempts) - len(ended),
        "outcomes": dict(sorted(Counter(each.outcome or "not known" for each in ended).items())),
        "held_s": _times([each.held_s for each in ended]),
        "waited_s": _times([each.waited_s for each in attempts]),
    }


def _times(values: Sequence[float]) -> dict[str, float] | None:
    if not values:
        return None
    ordered = sorted(values)
    quantiles = {f"p{q}": ordered[ceil(q / 100 * len(ordered)) - 1] for q in (50, 99)}
    return {"mean": fsum(ordered) / len(ordered), **quantiles, "most": ordered[-1]}


def _words(found: dict[str, Any]) -> str:
    parts = [f"{found['attempts']} calls", *(f"{count} {outcome}" for outcome, count in found["outcomes"].items())]
    if found["open"]:
        parts.append(f"{found['open']} open")
    for name, heading in (("held_s", "took"), ("waited_s", "waited")):
        if times := found[name]:
            parts.append(f"{heading} {times['mean']:.3g} s on average (p50 {times['p50']:.3g}, p99 {times['p99']:.3g})")
    return ", ".join(parts)
