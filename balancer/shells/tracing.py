"""Writes what happens to a pool into a file, as `balancer.traces.rows` describes it.

Decides what is done where: a lease is put into a queue as it comes and goes, and nothing more; a thread of its own
makes rows of what is in there and writes them, a fifth of a second later at most. The queue is bounded: what finds it
full is counted, not kept, so that a slow disk takes no memory. Lines are written whole, so a kill leaves at most half a
line at the end of the file. No secret is written: of a URL neither user nor query, of a key a stand-in.
"""

import atexit
import hashlib
import os
import secrets
import threading
import weakref
from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import UTC, datetime
from json import dumps
from os import PathLike
from pathlib import Path
from types import TracebackType
from typing import Final, NamedTuple, Self

from balancer.core.events import (
    Added,
    Drained,
    Ejected,
    Event,
    Hedged,
    LimitChanged,
    Panic,
    Probing,
    Removed,
    Rested,
    Restored,
    Retried,
    Spent,
    StrategyChanged,
    TimedOut,
)
from balancer.core.recording import Recording
from balancer.endpoint import Endpoint, Lease, Outcome
from balancer.errors import ConfigError
from balancer.settings.redaction import plain_name
from balancer.strategy import Request
from balancer.traces.rows import VERSION, Happening, attempt_line, line_of

__all__ = ["TraceWriter"]

_EVERY_S: Final = 0.2
_MOST: Final = 200_000  # grants, ends and events that wait to be written: some 50 MB
_LONG_S: Final = 1.0  # a call that is out for longer is written as an open one, once, lest a kill lose it
_CHANGES: Final = (Added, LimitChanged)
_PLAIN: Final[dict[type[Event], str]] = {
    Added: "joined",
    Drained: "drained",
    Removed: "left",
    Ejected: "ejected",
    Probing: "probing",
    Rested: "rested",
    Restored: "restored",
    Spent: "spent",
    Retried: "retried",
    Hedged: "hedged",
}


class TraceWriter:
    """An observer that writes a trace, until `close` or the end of a `with` block.

    Args:
        path: appended to, and made if need be.
        endpoints: returns the pool's endpoints; None once there is no pool any more.
        clock: the pool's.
        strategy: its name.
        redact: takes further secrets out of the names of endpoints.

    Attributes:
        redact: likewise, for what is written from now on.
        run: what tells this run apart in the file.

    Raises:
        ConfigError: the file cannot be written.
    """

    kinds = frozenset({LimitChanged, Panic, StrategyChanged, TimedOut, *_PLAIN})

    def __init__(
        self,
        path: str | PathLike[str],
        *,
        endpoints: Callable[[], Iterable[Endpoint] | None],
        clock: Callable[[], float],
        strategy: str,
        redact: Callable[[str], str] = str,
    ) -> None:
        self.run = secrets.token_hex(6)
        self.recording = Recording(_MOST)
        self.end: Callable[[], object] = _nothing
        self._path = Path(path)
        self._endpoints = endpoints
        self._clock = clock
        self.redact = redact
        self._salt = secrets.token_bytes(16)  # nobody can find out a key by trying, not even from two traces
        self._queue = self.recording.kept
        self._known: dict[str, Endpoint] = {}
        self._out: dict[int, _Out] = {}
        self._told: set[int] = set()
        self._at: dict[str, int] = {}
        self._on: dict[str, int] = {}
        self._turn = threading.Lock()
        self._stop = threading.Event()
        self._closed = False
        self._process = os.getpid()  # a fork's file is the parent's to write
        try:
            self._file = self._opened()
        except OSError as error:
            raise ConfigError(f"trace: {path}: cannot be written: {error.strerror}; choose another path") from None
        self._look()
        self._capacities = {name: each.capacity for name, each in self._known.items()}
        self._write([self._first_line(strategy)])
        # What a thread holds is never collected, so it holds no more of this than it can do without.
        self._thread = threading.Thread(
            target=_write_on, args=(weakref.ref(self), self._stop), name="trace", daemon=True
        )
        self._thread.start()
        atexit.register(_close, weakref.ref(self))

    def __call__(self, event: Event, /) -> None:
        """Keep `event` until it is written; of a change of an endpoint also what it is like now."""
        if len(self._queue) < _MOST:
            self._queue.append((event, self._like_now(event) if type(event) in _CHANGES else None))
        else:
            self.recording.lost += 1

    @property
    def lost(self) -> int:
        """Grants, ends and events that found the queue full."""
        return self.recording.lost

    def flush(self) -> None:
        """Write what has happened so far."""
        with self._turn:
            if not self._closed and self._process == os.getpid():
                self._write_queue()

    def close(self) -> None:
        """Write the rest, calls that are under way as open ones, and the last line. May be called twice."""
        self.end()
        self._stop.set()
        with self._turn:
            if self._closed or self._process != os.getpid():
                return
            self._write_queue()
            self._closed = True
            now = self._clock()
            lines = [self._line(out, ended_s=now, is_open=True) for out in self._out.values()]
            self._write([*lines, dumps({"row": "end", "run": self.run, "at_s": now, "lost": self.lost}) + "\n"])
            os.close(self._file)

    def _shown(self, name: str) -> str:
        return self.redact(plain_name(name))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    # -- the file ----------------------------------------------------------------------------------

    def _opened(self) -> int:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        size = os.fstat(file).st_size
        if size and os.pread(file, 1, size - 1) != b"\n":  # the run before was killed in the middle of a line
            os.write(file, b"\n")
        return file

    def _write(self, lines: Iterable[str]) -> None:
        data = "".join(lines).encode()
        while data:
            data = data[os.write(self._file, data) :]

    def _first_line(self, strategy: str) -> str:
        endpoints = [
            {
                "name": self._shown(each.name),
                "host": each.host,
                "capacity": each.capacity,
                "weight": each.weight,
                "labels": sorted(each.labels),
            }
            for each in self._known.values()
        ]
        began = {"began": datetime.now(UTC).isoformat(), "clock_s": self._clock()}
        facts = {"version": VERSION, "run": self.run, **began, "strategy": strategy, "endpoints": endpoints}
        return dumps({"row": "run", **facts}) + "\n"

    # -- rows --------------------------------------------------------------------------------------

    def _write_queue(self) -> None:
        lines: list[str] = []
        while self._queue:
            kept = self._queue.popleft()
            if len(kept) == 4:
                self._grant(*kept)
            elif len(kept) == 3:
                lease, outcome, at_s = kept
                self._end(lease, outcome, at_s, lines)
            else:
                lines += [line_of(each) for each in self._happenings(*kept)]
        now = self._clock()
        for id, out in self._out.items():
            if now - out.granted_s > _LONG_S and id not in self._told:
                self._told.add(id)
                lines.append(self._line(out, ended_s=now, is_open=True))
        if lines:
            self._write(lines)

    def _grant(self, lease: Lease, request: Request, waited_s: float, priority: int | None) -> None:
        name, slots = lease.endpoint.name, lease.slots
        host = lease.endpoint.host or ""
        at = self._at[name] = self._at.get(name, 0) + slots
        on = self._on[host] = self._on.get(host, 0) + slots
        granted_s, holder = lease.granted_s, lease.holder
        # Not the lease: somebody would seem to have it.
        self._out[lease.id] = _Out(
            lease.id, lease.endpoint, granted_s, slots, holder, request, waited_s, priority, at, on
        )

    def _end(self, lease: Lease, outcome: Outcome, now: float, lines: list[str]) -> None:
        out = self._out.pop(lease.id, None)
        if out is None:
            return  # granted before the trace began, or its grant was lost
        self._told.discard(out.id)
        self._at[out.endpoint.name] -= out.slots
        self._on[out.endpoint.host or ""] -= out.slots
        asked_s = lease.hint.retry_after_s if lease.hint is not None else None
        lines.append(self._line(out, ended_s=now, outcome=outcome.value, retry_after_s=asked_s))

    def _line(
        self,
        out: "_Out",
        *,
        ended_s: float,
        outcome: str | None = None,
        retry_after_s: float | None = None,
        is_open: bool = False,
    ) -> str:
        request = out.request
        return attempt_line(
            run=self.run,
            attempt=out.id,
            asked_s=out.granted_s - out.waited_s,
            granted_s=out.granted_s,
            ended_s=ended_s,
            endpoint=self._shown(out.endpoint.name),
            task=out.holder or None,
            kind="+".join(sorted(request.labels)) or None,
            size=request.tokens,
            host=out.endpoint.host,
            slots=out.slots,
            priority=out.priority,
            key=self._stand_in(request.key),
            in_flight=out.at_endpoint,
            host_in_flight=out.on_host,
            outcome=outcome,
            retry_after_s=retry_after_s,
            open=is_open,
        )

    def _happenings(self, event: Event, endpoint: Endpoint | None) -> Iterable[Happening]:
        if isinstance(event, TimedOut):
            return [Happening(self.run, event.at_s, "gave_up", value=event.waited_s)]
        if isinstance(event, Panic):
            return [Happening(self.run, event.at_s, "panic" if event.on else "calm")]
        if isinstance(event, StrategyChanged):
            return [Happening(self.run, event.at_s, "strategy", name=event.strategy)]
        name = getattr(event, "endpoint", "")
        shown = self._shown(name)
        if isinstance(event, LimitChanged):
            before = self._capacities.get(name)
            found = [Happening(self.run, event.at_s, "limit", shown, event.limit)]
            if endpoint is not None and before != endpoint.capacity:
                self._capacities[name] = endpoint.capacity
                found.append(Happening(self.run, event.at_s, "capacity", shown, endpoint.capacity))
            return found
        if isinstance(event, Added):
            capacity, host = (endpoint.capacity, endpoint.host) if endpoint is not None else (None, None)
            if capacity is not None:
                self._capacities[name] = capacity
            return [Happening(self.run, event.at_s, "joined", shown, capacity, host)]
        return [Happening(self.run, event.at_s, _PLAIN[type(event)], shown)]

    def _look(self) -> None:
        """See which endpoints there are; those that have gone stay known, as calls there may still end."""
        self._known.update({each.name: each for each in self._endpoints() or ()})

    def _like_now(self, event: Event) -> Endpoint | None:
        self._look()
        return self._known.get(getattr(event, "endpoint", ""))

    def _stand_in(self, key: str | None) -> str | None:
        return None if key is None else hashlib.blake2b(key.encode(), digest_size=6, key=self._salt).hexdigest()


class _Out(NamedTuple):
    """A lease that is out."""

    id: int
    endpoint: Endpoint
    granted_s: float
    slots: int
    holder: str
    request: Request
    waited_s: float
    priority: int | None
    at_endpoint: int
    on_host: int


def _nothing() -> None:
    """Do nothing: nobody has to be told yet."""


def _write_on(writer: "weakref.ref[TraceWriter]", stop: threading.Event) -> None:
    while not stop.wait(_EVERY_S):
        mine = writer()
        if mine is None:
            return
        with suppress(OSError):  # a full disk: what is in the queue is tried again, until that is full
            mine.flush()
        del mine


def _close(writer: "weakref.ref[TraceWriter]") -> None:
    mine = writer()
    if mine is not None:
        mine.close()
