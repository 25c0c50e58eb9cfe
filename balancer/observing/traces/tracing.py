"""Trace writer: an observer that writes a pool's calls and events as rows.

Leases are only recorded (`balancer.core.recording`). A thread makes rows of them and writes them, at most a fifth of a
second later. The backlog is bounded: what exceeds it, and what cannot be made or written, is only counted as lost, and
the writer goes on. No secret is written: URLs have neither user nor query, and keys are replaced by stand-ins. A sink
stores the rows (`balancer.observing.traces.files`).
"""

import atexit
import hashlib
import logging
import os
import secrets
import threading
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from itertools import islice
from os import PathLike
from typing import TYPE_CHECKING, Any, Final

from balancer.core.events import (
    Added,
    Drained,
    Ejected,
    Event,
    Hedged,
    LimitChanged,
    Probing,
    Removed,
    Rested,
    Restored,
    Retried,
    Spared,
    Spent,
    StrategyChanged,
    TimedOut,
)
from balancer.core.recording import Collected, Grant, Recording, grant_of
from balancer.endpoint import Endpoint, Lease
from balancer.observing.traces.files import LineFile, Sink, cannot_be_written
from balancer.observing.traces.rows import VERSION, Happening, amount_of, data_of, text_of
from balancer.values.redaction import plain_name

if TYPE_CHECKING:
    from balancer.shells.delivery import Observation
    from balancer.shells.engine import Engine

__all__ = ["MOST", "TraceWriter"]

_EVERY_S: Final = 0.2
MOST: Final = 200_000  # calls, and events, that wait to be written: some 70 MB, twice that while a backlog is written
_AT_ONCE: Final = 2000  # rows that are made at once, so that a backlog is never in memory as rows
_LOGGER: Final = logging.getLogger("balancer")
_CHANGES: Final = (Added, LimitChanged)
_NAMES: Final[dict[type[Event], str]] = {
    Added: "joined", Drained: "drained", Removed: "left", LimitChanged: "limit", Ejected: "ejected", Spared: "spared",
    Probing: "probing", Rested: "rested", Restored: "restored", Spent: "spent", StrategyChanged: "strategy",
    Retried: "retried", Hedged: "hedged", TimedOut: "gave_up",
}  # fmt: skip

_VALUES: Final[dict[type[Event], str]] = {
    TimedOut: "waited_s", LimitChanged: "limit", Ejected: "for_s", Rested: "for_s",
}  # fmt: skip


class TraceWriter(AbstractContextManager["TraceWriter"]):
    """An observer that writes a trace, until `close` or the end of a `with` block.

    Args:
        sink: gets the rows.
        source: the pool's engine. The writer does not keep it alive.
        recording: the pool's record of ended leases.
        strategy: the name of the pool's strategy.
        redact: takes further secrets out of the names of endpoints and holders.
        ended: called with the writer when it is closed.

    Attributes:
        run: a name that is unique in the file.
        lost: calls and events that were not written, because the writer was too slow or could not write.
    """

    kinds = frozenset(_NAMES)

    def __init__(
        self,
        sink: Sink,
        source: "Engine",
        recording: Recording,
        *,
        strategy: str,
        redact: Callable[[str], str] = str,
        ended: Callable[["TraceWriter"], object] = lambda writer: None,
    ) -> None:
        self.run = secrets.token_hex(6)
        self.recording = recording
        self.lost = 0
        self._has_said = False
        self._sink = sink
        self._source = weakref.ref(source)
        self._observation: Observation | None = None
        self._ended = ended
        self._clock = source.clock
        self._redact = redact
        self._names: dict[str, str] = {}
        self._salt = secrets.token_bytes(16)  # so that keys cannot be found by trying, not even from two traces
        self._events: deque[tuple[Event, Endpoint | None]] = deque()
        self._turn = threading.Lock()
        self._stop = threading.Event()
        self._closed = False
        self._process = os.getpid()  # a forked child must not write: the file belongs to the parent
        listed = self._listed()
        self._capacities = {name: each.capacity for name, each in listed.items()}
        sink.write([self._first_row(strategy, listed.values())])
        # Objects of a running thread are never collected. So the thread refers to as little of this as possible.
        self._thread = threading.Thread(
            target=_write_on, args=(weakref.ref(self), self._stop), name="trace", daemon=True
        )
        self._thread.start()
        atexit.register(_close, weakref.ref(self))

    def __call__(self, event: Event, /) -> None:
        """Keep `event` until it is written. For a change of an endpoint, also keep the endpoint's data now."""
        if len(self._events) < MOST:
            now = self._listed().get(getattr(event, "endpoint", "")) if type(event) in _CHANGES else None
            self._events.append((event, now))
        else:
            self.lost += 1

    def watch(self, observation: "Observation") -> None:
        """Set the subscription to the pool's events, which `close` ends."""
        self._observation = observation

    def hide(self, redact: Callable[[str], str]) -> None:
        """Use `redact` from now on to take secrets out of the names of endpoints and holders."""
        self._redact = redact
        self._names.clear()

    def flush(self) -> None:
        """Write what has happened so far."""
        if self._process == os.getpid():
            with self._turn:
                if not self._closed:
                    self._write(self._rows(self._collect()))

    def close(self) -> None:
        """Write the rest, running calls as open ones, and the last row. May be called twice.

        Does nothing in a forked child: the file belongs to the parent.
        """
        if self._process != os.getpid():  # a thread of the parent may have held the lock
            return
        self._stop.set()
        with self._turn:
            if self._closed:
                return
            self._closed = True
            try:
                self._write(self._rows(self._collect(is_last=True)))
                self._write([{"row": "end", "run": self.run, "at_s": self._clock(), "lost": self.lost}])
            finally:
                try:
                    self._sink.close()
                except Exception as error:
                    self._lose(error, 0)

    def __exit__(self, *_: object) -> None:
        self.close()

    # -- rows --------------------------------------------------------------------------------------

    def _write(self, rows: Iterable[dict[str, Any]]) -> None:
        rows = iter(rows)
        while some := list(islice(rows, _AT_ONCE)):
            try:
                self._sink.write(some)
            except Exception as error:  # a full disk, a row that a database cannot hold, a mistake in a user's sink
                self._lose(error, sum(row["row"] != "end" for row in some))

    def _lose(self, error: Exception, rows: int) -> None:
        """Count rows that could not be made or written, and log the first ones."""
        self.lost += rows
        if not self._has_said:
            self._has_said = True
            kind = type(error).__name__  # the text of the error may contain anything
            said = (error.strerror or kind) if isinstance(error, OSError) else kind
            _LOGGER.warning("trace: rows are lost and counted: %s", said)

    def _first_row(self, strategy: str, endpoints: Iterable[Endpoint]) -> dict[str, Any]:
        listed = [
            {
                "name": self._shown(each.name),
                "host": text_of(each.host),
                "capacity": each.capacity,
                "weight": each.weight,
                "labels": sorted(map(str, map(text_of, each.labels))),
            }
            for each in endpoints
        ]
        began = {"began": datetime.now(UTC).isoformat(), "clock_s": self._clock()}
        facts = {"version": VERSION, "run": self.run, **began, "strategy": strategy, "endpoints": listed}
        return {"row": "run", **facts}

    def _rows(self, found: Collected | None) -> Iterator[dict[str, Any]]:
        while self._events:
            yield from self._made(self._happenings, *self._events.popleft())
        if found is None:
            return
        self.lost += found.lost
        for lease in found.ended:
            yield from self._made(self._attempt, grant_of(lease), lease.over[1], lease)
        for grant in found.out:
            yield from self._made(self._attempt, grant, found.now)

    def _made(self, make: Callable[..., Iterable[dict[str, Any]]], *args: Any) -> list[dict[str, Any]]:
        """Return the rows of a lease or an event; none if they cannot be made, which is counted."""
        try:
            return [*make(*args)]
        except Exception as error:  # a user's `redact` may raise
            self._lose(error, 1)
            return []

    def _attempt(self, grant: Grant, ended_s: float, lease: Lease | None = None) -> Iterator[dict[str, Any]]:
        """Yield the row of a lease; without `lease`, it has not ended."""
        request = grant.request
        yield {
            "row": "attempt",
            "run": self.run,
            "attempt": grant.id,
            "asked_s": grant.granted_s - grant.waited_s,
            "granted_s": grant.granted_s,
            "ended_s": ended_s,
            "endpoint": self._shown(grant.endpoint.name),
            "task": text_of(grant.holder and self._redact(plain_name(grant.holder))) or None,
            "kind": text_of("+".join(sorted(request.labels))) or None,
            "size": amount_of(request.tokens),
            "host": text_of(grant.endpoint.host),
            "slots": grant.slots,
            "priority": grant.priority,
            "key": self._stand_in(request.key),
            "outcome": None if lease is None else lease.over[0].value,
            "retry_after_s": amount_of(lease.hint.retry_after_s) if lease is not None and lease.hint else None,
            "server_s": amount_of(getattr(lease, "server_s", None)),
            "open": lease is None,
        }

    def _shown(self, name: str) -> str:
        shown = self._names.get(name)
        if shown is None:
            shown = self._names[name] = text_of(self._redact(plain_name(name))) or ""
        return shown

    def _happenings(self, event: Event, endpoint: Endpoint | None) -> Iterator[dict[str, Any]]:
        name: str | None = getattr(event, "endpoint", None)
        shown, words = None if name is None else self._shown(name), None
        value = amount_of(getattr(event, _VALUES.get(type(event), ""), None))
        match event:
            case StrategyChanged():
                words = event.strategy
            case Added() if endpoint is not None:
                value, words = endpoint.capacity, endpoint.host
            case Ejected():
                words = self._redact(event.why)
            case Spared():
                words = self._redact(f"{event.why}, but {event.but}")
        yield data_of(Happening(self.run, event.at_s, _NAMES[type(event)], shown, value, text_of(words) or None))
        if name is not None and endpoint is not None and self._capacities.get(name) != endpoint.capacity:
            self._capacities[name] = endpoint.capacity
            if isinstance(event, LimitChanged):
                yield data_of(Happening(self.run, event.at_s, "capacity", shown, endpoint.capacity))

    def _collect(self, *, is_last: bool = False) -> Collected | None:
        """Take out what the pool has recorded; None if the pool no longer exists."""
        source = self._source()
        if source is None:
            return None
        if is_last:
            if self._observation is not None:
                self._observation.end()
            self._ended(self)
        return source.collect(self.recording, is_last=is_last)

    def _listed(self) -> dict[str, Endpoint]:
        source = self._source()
        return {} if source is None else {each.name: each for each in source.endpoints()}

    def _stand_in(self, key: str | None) -> str | None:
        if key is None:
            return None
        return hashlib.blake2b(key.encode(errors="surrogatepass"), digest_size=6, key=self._salt).hexdigest()


def _write_on(writer: "weakref.ref[TraceWriter]", stop: threading.Event) -> None:
    while not stop.wait(_EVERY_S):
        mine = writer()
        if mine is None:
            return
        mine.flush()
        del mine


def write_trace(
    source: "Engine",
    path: "str | PathLike[str] | Sink",
    *,
    strategy: str,
    redact: Callable[[str], str],
    ended: Callable[[TraceWriter], object],
) -> TraceWriter:
    """Write a trace of `source` from now on; see `balancer.Pool.trace`. Raises ConfigError."""
    sink = path if isinstance(path, Sink) else LineFile(path)
    recording = source.record(MOST)
    try:
        writer = TraceWriter(sink, source, recording, strategy=strategy, redact=redact, ended=ended)
    except BaseException as error:  # e.g. the first row does not fit on the disk
        source.collect(recording, is_last=True)
        if sink is not path:
            sink.close()
        if isinstance(error, OSError):
            raise cannot_be_written(path, error) from None
        raise
    writer.watch(source.observe(writer))
    return writer


def _close(writer: "weakref.ref[TraceWriter]") -> None:
    mine = writer()
    if mine is not None:
        mine.close()
