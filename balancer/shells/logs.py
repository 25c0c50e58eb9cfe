"""Logging: an observer that writes to the logger `balancer`.

It logs what goes wrong and when it is right again, but no single leases. Of a URL it leaves out the user and the query,
which may be secret. `RestLines` decides which rests get a line: a busy server may ask for one each second.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from traceback import extract_tb

from balancer.core.events import (
    Abandoned,
    Ejected,
    Event,
    Expired,
    Leaked,
    Rested,
    Restored,
    Spared,
    Spent,
)
from balancer.core.strategy_calls import StrategyRaised
from balancer.errors import BalancerError
from balancer.shells.delivery import Observation
from balancer.values.redaction import plain_name

__all__ = ["Log", "RestLines", "log_broken", "log_raised", "log_refused", "until_back"]

_LOGGER = logging.getLogger("balancer")


_EVERY_S = 60.0  # at most one line about the rests of an endpoint in so many seconds
_MOST = 1000  # endpoints whose rests, or ejections, are kept in mind


@dataclass(slots=True)
class _Rests:
    said_s: float
    unsaid: int = 0  # rests since the last line
    quiet: bool = False  # the endpoint rests, and the end of this rest gets no line
    back_said: bool = False  # the last line says that it is back in service


class RestLines:
    """The lines about endpoints that ask for rests: one when it begins, then one a minute, with a count.

    A rest that ends within a minute of the last line has no line for its end: the line has said how long it lasts. So
    the last line about an endpoint never says that it is back while it rests.
    """

    kinds = frozenset({Rested, Restored, Ejected})

    def __init__(self) -> None:
        self._rests: dict[str, _Rests] = {}

    def line(self, event: Rested) -> str | None:
        """Return what to say of `event`, after the endpoint's name; None: nothing."""
        rests = self._rests.get(event.endpoint)
        short = event.for_s is not None and event.for_s < _EVERY_S
        ends_s = event.at_s + (event.for_s or 0.0)
        if rests is not None and not rests.back_said and ends_s - rests.said_s < _EVERY_S:
            rests.unsaid += 1
            rests.quiet = True
            return None
        if len(self._rests) >= _MOST:
            self._rests.clear()
        self._rests[event.endpoint] = _Rests(event.at_s, quiet=short)
        said = "asked for a rest"
        if event.for_s is not None:
            said += f" of {event.for_s:.3g} s"
        if rests is not None and rests.unsaid:
            times = "time" if rests.unsaid == 1 else "times"
            said += (
                f"; it did so {rests.unsaid} more {times} in the {event.at_s - rests.said_s:.0f} s since the last line"
            )
        return said

    def ends_unsaid(self, event: Ejected | Restored) -> bool:
        """Return whether `event` is the end of a rest, and gets no line. Called with every such event."""
        rests = self._rests.get(event.endpoint)
        if rests is None:
            return False
        quiet, rests.quiet = rests.quiet and isinstance(event, Restored), False
        rests.back_said = not quiet and isinstance(event, Restored)
        return quiet


def until_back(for_s: float | None) -> str:
    """Return when an endpoint that left service is tried again, for the end of a line."""
    return "" if for_s is None else f"; it is tried again in {for_s:.3g} s"


@dataclass(slots=True)
class _Ejection:
    why: str
    said_s: float
    unsaid: int = 0  # ejections since the last line, for the same reason


class Log:
    """An observer that writes lines to the logger `balancer`.

    An endpoint that is ejected again for the same reason gets at most one line a minute, with a count.
    The line that ends what a WARNING began is a WARNING too, so that a log with warnings alone has both.

    Attributes:
        redact: takes further secrets out of names of endpoints and holders, and out of reasons.
    """

    redact: Callable[[str], str] = str
    kinds = frozenset({Ejected, Spared, Rested, Restored, Spent, Expired, Abandoned, Leaked})

    def __init__(self) -> None:
        self._rests = RestLines()
        self._ejected: dict[str, _Ejection] = {}

    def __call__(self, event: Event, /) -> None:
        """Write a line about `event`."""
        match event:
            case Ejected():
                self._rests.ends_unsaid(event)
                if (said := self._on_ejection(event)) is not None:
                    _LOGGER.warning("%s is ejected: %s", self._shown(event.endpoint), said)
            case Spared():
                line = "%s would be ejected (%s), but %s"
                _LOGGER.warning(line, self._shown(event.endpoint), self.redact(event.why), event.but)
            case Rested():
                if (said := self._rests.line(event)) is not None:
                    _LOGGER.info("%s %s", self._shown(event.endpoint), said)
            case Restored():
                level = logging.WARNING if event.endpoint in self._ejected else logging.INFO
                self._ejected.pop(event.endpoint, None)
                if not self._rests.ends_unsaid(event):
                    _LOGGER.log(level, "%s is back in service", self._shown(event.endpoint))
            case Spent():
                line = "%s is out of service until it is added again: its account has no quota left"
                _LOGGER.warning(line, self._shown(event.endpoint))
            case Expired():
                _LOGGER.warning(
                    "%s expired after %.3g s (ttl_s); its slot goes to others", self._lease(event), event.held_s
                )
            case Abandoned():
                line = "%s was abandoned after %.3g s, without a release; its slot goes to others"
                _LOGGER.warning(line, self._lease(event), event.held_s)
            case Leaked():
                place = f", acquired at {event.where}" if event.where else ""
                _LOGGER.warning(
                    "%s has been out for %.3g s%s; did the program forget it?",
                    self._lease(event),
                    event.held_s,
                    place,
                )

    def _on_ejection(self, event: Ejected) -> str | None:
        """Return what to say of `event`, after "is ejected"; None: nothing, as a line has said it lately."""
        last = self._ejected.get(event.endpoint)
        if last is not None and last.why == event.why and event.at_s - last.said_s < _EVERY_S:
            last.unsaid += 1
            return None
        if len(self._ejected) >= _MOST:
            self._ejected.clear()
        self._ejected[event.endpoint] = _Ejection(event.why, event.at_s)
        said = f"{self.redact(event.why)}{until_back(event.for_s)}"
        if last is not None and last.unsaid:
            times = "time" if last.unsaid == 1 else "times"
            said += f"; so {last.unsaid} more {times} in the {event.at_s - last.said_s:.0f} s since the last line"
        return said

    def _lease(self, event: Expired | Abandoned | Leaked) -> str:
        holder = f" held by {self._shown(event.holder)!r}" if event.holder else ""
        return f"lease {event.lease_id} of {self._shown(event.endpoint)}{holder}"

    def _shown(self, name: str) -> str:
        return self.redact(plain_name(name))


def log_broken(observation: Observation, error: Exception) -> None:
    """Write a line about an observer that raised: only kind and place, as the error may quote secrets."""
    frame = extract_tb(error.__traceback__)[-1]
    name = getattr(observation.observer, "__qualname__", type(observation.observer).__qualname__)
    kind = type(error).__name__
    _LOGGER.error(
        "the observer %s raised %s at %s:%s; it gets no more events", name, kind, frame.filename, frame.lineno
    )


def log_raised(error: StrategyRaised) -> None:
    """Write a line about a strategy that raised as a lease ended: only kind and place, as it may quote secrets."""
    cause = error.__cause__ or error
    frame = extract_tb(cause.__traceback__)[-1]
    _LOGGER.error(
        "the strategy %r raised %s in %s, at %s:%s; the lease ended all the same; "
        "check_strategy of balancer.testing finds such mistakes",
        error.strategy,
        type(cause).__name__,
        error.hook,
        frame.filename,
        frame.lineno,
    )


def log_refused(error: Exception) -> None:
    """Write a line about what was called from within a call of the pool, and was refused when that call was over.

    Of an error that is not the pool's, such as one of a strategy, only kind and place: it may quote secrets.
    """
    if isinstance(error, StrategyRaised):
        log_raised(error)
        return
    if isinstance(error, BalancerError):
        _LOGGER.warning("a call from within another call of the pool was refused: %s", error)
        return
    frame = extract_tb(error.__traceback__)[-1]
    kind = type(error).__name__
    _LOGGER.error("a call from within another call of the pool raised %s at %s:%s", kind, frame.filename, frame.lineno)
