"""OpenTelemetry spans: one for each attempt, a child of the span of the call that made it.

An attempt is a lease, from its grant to its end. Its parent is the span that was current where the lease was asked for:
in threads, in tasks, and for each try and each hedge of `Pool.call`.
"""

import time
from collections.abc import Callable
from importlib.util import find_spec
from types import TracebackType
from typing import Any, Final, Protocol, Self

from balancer.core.events import Ended, Event, Granted
from balancer.endpoint import Lease, Outcome
from balancer.errors import ConfigError
from balancer.observing import WatchedPool
from balancer.plugins.extras import require
from balancer.values.redaction import ShownNames

require("observe", "balancer.observing.otel", "opentelemetry")

from opentelemetry.context import Context, get_current  # noqa: E402
from opentelemetry.trace import (  # noqa: E402
    Link,
    ProxyTracerProvider,
    SpanKind,
    Status,
    StatusCode,
    TracerProvider,
    get_current_span,
    get_tracer,
    get_tracer_provider,
)

__all__ = ["SpanSource", "Spans"]

_NAME: Final = "balancer.attempt"
_BAD: Final = frozenset({Outcome.FAILURE, Outcome.OVERLOAD})
_MOST: Final = 100_000  # leases that are known at once; the span of a forgotten one has no parent


_NOWHERE: Final = (
    "no tracer provider is set, and opentelemetry-sdk is not installed, so all spans would be lost; "
    "pip install opentelemetry-sdk and set it (docs/live.md), or give tracer_provider="
)


def _has_sdk() -> bool:
    try:
        return find_spec("opentelemetry.sdk") is not None
    except ModuleNotFoundError:
        return False


class SpanSource(WatchedPool, Protocol):
    """The part of a pool that this module uses."""

    def mark_leases(self, mark: Callable[[Lease], object]) -> Callable[[], None]:
        """Call `mark` with each lease where it was asked for."""
        ...


class Spans:
    """Makes a span of each lease of `pool` that begins from now on, until `close` or the end of a `with` block.

    A span is made when its lease ends, with the times of the lease. Endpoints are named without parts of a URL that may
    be secret.

    Args:
        pool: the pool of the leases.
        tracer_provider: gets the spans; None: the global one.
        redact: takes further secrets out of names, e.g. `Config.redact`.

    Raises:
        MissingExtra: on import, if the extra `observe` is not installed.
        ConfigError: spans would go nowhere: there is no provider, and no package that has one.
    """

    kinds = frozenset({Granted, Ended})

    def __init__(
        self,
        pool: SpanSource,
        *,
        tracer_provider: TracerProvider | None = None,
        redact: Callable[[str], str] | None = None,
    ) -> None:
        if tracer_provider is None and isinstance(get_tracer_provider(), ProxyTracerProvider) and not _has_sdk():
            raise ConfigError(_NOWHERE)
        self._tracer = get_tracer("balancer", tracer_provider=tracer_provider)
        self._names = ShownNames(redact)
        self._clock = pool.clock
        self._calls: dict[int, Context] = {}
        self._waits: dict[int, float] = {}
        self._unmark = pool.mark_leases(self._mark)
        self._observation = pool.observe(self)

    def close(self) -> None:
        """Make no more spans. May be called twice."""
        self._unmark()
        self._observation.end()

    def __call__(self, event: Event, /) -> None:
        """Handle an event of a lease."""
        if isinstance(event, Granted):
            _keep(self._waits, event.lease_id, event.waited_s)
        elif isinstance(event, Ended):
            self._make(event)

    def _mark(self, lease: Lease) -> None:
        _keep(self._calls, lease.id, get_current())

    def _make(self, ended: Ended) -> None:
        call = self._calls.pop(ended.lease_id, None)
        waited_s = self._waits.pop(ended.lease_id, None)
        link = get_current_span(call).get_span_context() if call is not None else None
        end_ns = time.time_ns() - int((self._clock() - ended.at_s) * 1e9)
        said: dict[str, str | int | float] = {
            "balancer.endpoint": self._names(ended.endpoint),
            "balancer.lease": ended.lease_id,
            "balancer.slots": ended.slots,
            "balancer.outcome": ended.outcome.value,
        }
        if ended.holder:
            said["balancer.holder"] = self._names.plain(ended.holder)
        if waited_s is not None:
            said["balancer.waited_s"] = waited_s
        span = self._tracer.start_span(
            _NAME,
            context=call if call is not None else Context(),
            kind=SpanKind.CLIENT,
            attributes=said,
            links=[Link(link)] if link is not None and link.is_valid else None,
            start_time=end_ns - int(ended.held_s * 1e9),
        )
        if ended.outcome in _BAD:
            span.set_status(Status(StatusCode.ERROR, ended.outcome.value))
        span.end(end_ns)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


def _keep(kept: dict[int, Any], id: int, value: Any) -> None:
    kept[id] = value
    if len(kept) > _MOST:  # leases that ended before they were marked, or whose end is not reported
        del kept[next(iter(kept))]
