"""Logging: an observer that writes to the logger `balancer`.

It logs what goes wrong and when it is right again, but no single leases. Of a URL it leaves out the user and the query,
which may be secret.
"""

import logging
from collections.abc import Callable
from traceback import extract_tb

from balancer.core.events import (
    Abandoned,
    Ejected,
    Event,
    Expired,
    Leaked,
    Panic,
    Restored,
    Spent,
)
from balancer.errors import BalancerError
from balancer.shells.delivery import Observation
from balancer.values.redaction import plain_name

__all__ = ["Log", "log_broken", "log_refused"]

_LOGGER = logging.getLogger("balancer")


class Log:
    """An observer that writes lines to the logger `balancer`.

    Attributes:
        redact: takes further secrets out of the names of endpoints.
    """

    redact: Callable[[str], str] = str
    kinds = frozenset({Ejected, Restored, Spent, Panic, Expired, Abandoned, Leaked})

    def __call__(self, event: Event, /) -> None:
        """Write a line about `event`."""
        match event:
            case Ejected():
                _LOGGER.warning("%s is ejected: %s", self._shown(event.endpoint), event.why)
            case Restored():
                _LOGGER.info("%s is back in service", self._shown(event.endpoint))
            case Spent():
                line = "%s is out of service until it is added again: its account has no quota left"
                _LOGGER.warning(line, self._shown(event.endpoint))
            case Panic(on=True):
                _LOGGER.warning("panic: too few endpoints are fit, so all must serve")
            case Panic():
                _LOGGER.info("the panic is over: enough endpoints are fit")
            case Expired():
                _LOGGER.warning("%s ran out after %.3g s; its slot goes to others", self._lease(event), event.held_s)
            case Abandoned():
                line = "%s was nobody's any more after %.3g s; its slot goes to others"
                _LOGGER.warning(line, self._lease(event), event.held_s)
            case Leaked():
                place = f", acquired at {event.where}" if event.where else ""
                _LOGGER.warning(
                    "%s has been out for %.3g s%s; is it forgotten?", self._lease(event), event.held_s, place
                )

    def _lease(self, event: Expired | Abandoned | Leaked) -> str:
        holder = f" held by {event.holder!r}" if event.holder else ""
        return f"lease {event.lease_id} of {self._shown(event.endpoint)}{holder}"

    def _shown(self, name: str) -> str:
        return self.redact(plain_name(name))


def log_broken(observation: Observation, error: Exception) -> None:
    """Write a line about an observer that raised: only kind and place, as the error may quote secrets."""
    frame = extract_tb(error.__traceback__)[-1]
    name = getattr(observation.observer, "__qualname__", type(observation.observer).__qualname__)
    kind = type(error).__name__
    _LOGGER.error("the observer %s raised %s at %s:%s; it is set aside", name, kind, frame.filename, frame.lineno)


def log_refused(error: Exception) -> None:
    """Write a line about what was called from within a call of the pool, and was refused when that call was over.

    Of an error that is not the pool's, such as one of a strategy, only kind and place: it may quote secrets.
    """
    if isinstance(error, BalancerError):
        _LOGGER.warning("a call from within another call of the pool was refused: %s", error)
        return
    frame = extract_tb(error.__traceback__)[-1]
    kind = type(error).__name__
    _LOGGER.error("a call from within another call of the pool raised %s at %s:%s", kind, frame.filename, frame.lineno)
