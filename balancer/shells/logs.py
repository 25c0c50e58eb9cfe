"""Logging: an observer that writes to the logger `balancer`.

It logs what goes wrong and when it is right again, but no single leases. Of a URL it leaves out the user and the query,
which may be secret.
"""

import logging
import math
from collections.abc import Callable
from traceback import extract_tb

from balancer.core.events import Abandoned, Ejected, Event, Expired, Leaked, Rested, Restored, Spared, Spent
from balancer.core.strategy_calls import StrategyRaised
from balancer.errors import BalancerError
from balancer.shells.delivery import Observation
from balancer.values.redaction import plain_name

__all__ = ["Log", "log_broken", "log_raised", "log_refused", "until_back"]

_LOGGER = logging.getLogger("balancer")

_EVERY_S = 60.0  # at most one line about the rests of an endpoint, or about ejections for one reason, in this time
_MOST = 1000  # endpoints whose last lines are kept in mind


class _Repeats:
    """The last line about each endpoint, so that it is not said again within a minute."""

    def __init__(self) -> None:
        self.lines: dict[str, tuple[str, float]] = {}

    def is_news(self, endpoint: str, why: str, now: float) -> bool:
        """Return whether to write a line now, and keep it in mind."""
        last, said_s = self.lines.get(endpoint, ("", -math.inf))
        if last == why and now - said_s < _EVERY_S:
            return False
        if len(self.lines) >= _MOST:
            self.lines.clear()
        self.lines[endpoint] = why, now
        return True


def until_back(for_s: float | None) -> str:
    """Return when an endpoint that left service is tried again, for the end of a line."""
    return "" if for_s is None else f"; it is tried again in {for_s:.3g} s"


class Log:
    """An observer that writes lines to the logger `balancer`.

    An endpoint that is ejected again for the same reason, or rests again, gets at most one line a minute: a
    busy server may ask for a rest each second. The line that ends what a WARNING began is a WARNING too, so that a
    log with warnings alone has both. A rest of less than a minute has no such line, as its own says how long it lasts.

    Attributes:
        redact: takes further secrets out of names of endpoints and holders, and out of reasons.
    """

    redact: Callable[[str], str] = str
    kinds = frozenset({Ejected, Spared, Rested, Restored, Spent, Expired, Abandoned, Leaked})

    def __init__(self) -> None:
        self._rests = _Repeats()
        self._ejected = _Repeats()
        self._resting: set[str] = set()  # those whose return gets no line

    def __call__(self, event: Event, /) -> None:
        """Write a line about `event`."""
        match event:
            case Ejected():
                self._resting.discard(event.endpoint)
                if self._ejected.is_news(event.endpoint, event.why, event.at_s):
                    line, why = "%s is ejected: %s%s", self.redact(event.why)
                    _LOGGER.warning(line, self._shown(event.endpoint), why, until_back(event.for_s))
            case Spared():
                line = "%s would be ejected (%s), but %s"
                _LOGGER.warning(line, self._shown(event.endpoint), self.redact(event.why), event.but)
            case Rested():
                if is_short := event.for_s is not None and event.for_s < _EVERY_S:
                    self._resting.add(event.endpoint)
                if self._rests.is_news(event.endpoint, str(is_short), event.at_s):
                    long = "" if event.for_s is None else f" of {event.for_s:.3g} s"
                    _LOGGER.info("%s asked for a rest%s", self._shown(event.endpoint), long)
            case Restored() if event.endpoint in self._resting:
                self._resting.discard(event.endpoint)
            case Restored():
                self._rests.lines.pop(event.endpoint, None)  # the next rest is said, as this line says the contrary
                level = logging.WARNING if self._ejected.lines.pop(event.endpoint, None) else logging.INFO
                _LOGGER.log(level, "%s is back in service", self._shown(event.endpoint))
            case Spent():
                line = "%s is out of service until it is added again: its account has no quota left"
                _LOGGER.warning(line, self._shown(event.endpoint))
            case Expired():
                line = "%s expired after %.3g s (ttl_s); its slot goes to others"
                _LOGGER.warning(line, self._lease(event), event.held_s)
            case Abandoned():
                line = "%s was abandoned after %.3g s, without a release; its slot goes to others"
                _LOGGER.warning(line, self._lease(event), event.held_s)
            case Leaked():
                place = f", acquired at {event.where}" if event.where else ""
                line = "%s has been out for %.3g s%s; did the program forget it?"
                _LOGGER.warning(line, self._lease(event), event.held_s, place)

    def _lease(self, event: Expired | Abandoned | Leaked) -> str:
        holder = f" held by {self._shown(event.holder)!r}" if event.holder else ""
        return f"lease {event.lease_id} of {self._shown(event.endpoint)}{holder}"

    def _shown(self, name: str) -> str:
        return self.redact(plain_name(name))


def log_broken(observation: Observation, error: Exception) -> None:
    """Write a line about an observer that raised."""
    name = getattr(observation.observer, "__qualname__", type(observation.observer).__qualname__)
    _LOGGER.error("the observer %s raised %s; it gets no more events", name, _kind_and_place(error))


def log_raised(error: StrategyRaised) -> None:
    """Write a line about a strategy that raised as a lease ended."""
    _LOGGER.error(
        "the strategy %r raised %s; the lease ended all the same; check_strategy of balancer.testing finds such "
        "mistakes",
        error.strategy,
        _kind_and_place(error.__cause__ or error, f" in {error.hook},"),
    )


def log_refused(error: Exception) -> None:
    """Write a line about what was called from within a call of the pool, and was refused when that call was over."""
    if isinstance(error, StrategyRaised):
        log_raised(error)
    elif isinstance(error, BalancerError):
        _LOGGER.warning("a call from within another call of the pool was refused: %s", error)
    else:
        _LOGGER.error("a call from within another call of the pool raised %s", _kind_and_place(error))


def _kind_and_place(error: BaseException, where: str = "") -> str:
    """Return only kind and place of an error that is not the pool's: its text may quote secrets."""
    frame = extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__}{where} at {frame.filename}:{frame.lineno}"
