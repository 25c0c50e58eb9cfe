"""One request and its answer: the common part of the transports for threads and for tasks.

It decides how an answer is read up to its first byte, and how an attempt ends: with an answer that holds the lease, or
with an error. The transports wait and read.
"""

import math
from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache, partial
from importlib import import_module
from importlib.util import find_spec
from threading import Lock
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final, Protocol, Unpack

from balancer.client_errors import REFUSALS, says_spent, status_of
from balancer.core.attempt_plan import AttemptPlan
from balancer.core.decisions import Run
from balancer.endpoint import Lease, Outcome, may_go_elsewhere, outcome_of
from balancer.load import ASK, REPORTS
from balancer.opening.pool import Pool
from balancer.plugins.extras import require
from balancer.shells.acts import Acts
from balancer.shells.driver import tell_where
from balancer.transports.errors import (
    HALF_SENT,
    MOST_BYTES,
    FinalFailure,
    for_client,
    last_answer,
    pool_timeout_of,
    redacted,
    status_error,
    stop_retries,
)
from balancer.transports.forwarding import RequestBody, forwarded
from balancer.transports.leased_body import BegunBody, end_lease, leased_body_class
from balancer.transports.reports import hear, usage_for
from balancer.transports.request_options import RequestKeywords, RequestOptions, RequestPlans
from balancer.transports.resend import ResendRule, Sending

if TYPE_CHECKING:
    from balancer.opening.aio import TaskPool

__all__ = ["LIBRARIES", "RequestExchange", "TransportBase", "beginning", "reads_more", "whole_pool"]

LIBRARIES: Final = ("httpx2", "httpx")
_LONGEST_ERROR = 2**16  # bytes
_UNCUT = Run()
_STEPS: Final = {"connect": "ConnectTimeout", "write": "WriteTimeout", "read": "ReadTimeout"}


class StepTimeouts:
    """Limits the timeouts of a request to the time until its deadline.

    Args:
        sent: a request of httpx2 or httpx. It gets its own copy of the client's timeouts.
        run: has the time until the deadline.
    """

    def __init__(self, sent: Any, run: Run) -> None:
        self._own = dict(sent.extensions.get("timeout") or {})
        lowered = [step for step in _STEPS if (own := self._own.get(step)) is None or own > run.cut_s]
        self._limits = sent.extensions["timeout"] = {**self._own, **dict.fromkeys(lowered, run.cut_s)}
        self._excused = frozenset() if run.cut_blames else frozenset(_STEPS[step] for step in lowered)

    def lift(self) -> None:
        """Restore the client's own timeouts. The inner transport reads them again before it reads a body."""
        self._limits.clear()
        self._limits.update(self._own)

    def excuse(self, error: Exception) -> bool:
        """Return whether `error` is a timeout that was shortened so much that the endpoint is not to blame."""
        return type(error).__name__ in self._excused


class Drive(Protocol):
    """The driver of a request, for a thread or a task."""

    @property
    def plan(self) -> AttemptPlan:
        """The attempt plan of the request."""
        ...

    def counts_as(self, error: BaseException) -> BaseException:
        """Return the error that ends the lease, given an error, an interrupt or a cancellation."""
        ...


class RequestExchange:
    """One request, from its client and back.

    Attributes:
        http: the client's library, httpx2 or httpx.
        asked: what it asks the pool for.
        plans: makes its attempt plan.
    """

    _limits: StepTimeouts | None = None  # of the current attempt, until the head of its answer has arrived
    _sending = Sending()  # of the current attempt, if its rule wants that

    def __init__(
        self, pool: Pool, options: RequestOptions, plans: RequestPlans, http: ModuleType, request: Any
    ) -> None:
        self.http = http
        self.asked, self._session = options.placed(pool, request, request.url.raw_path.decode("ascii"))
        self.plans = plans.of(pool_timeout_of(request))
        self._request = request
        self._asks_load = options.load
        self._clock = pool.clock
        self._body = RequestBody(http, request.stream)
        self._rule = ResendRule(options.resend, request.method, request.headers)

    def attempt(
        self,
        inner: Any,
        drive: Drive,
        lease: Lease,
        run: Run = _UNCUT,
        *,
        later: bool = False,
    ) -> Acts[Any]:
        """Send the request to the leased endpoint. Return its answer, which holds the lease.

        After an error the lease has ended.

        If `run` has a deadline, no step of the client (connect, send, wait for the head of the answer) may take longer
        than the time until then. That is for inner transports that cannot be bound (`balancer.transports.time_bound`).

        Args:
            inner: sends the request.
            drive: its driver.
            lease: of the endpoint. ConfigError if its URL is not http or https.
            run: see above.
            later: True in a task.
        """
        stream = None
        try:
            send = inner.handle_async_request if later else inner.handle_request
            answer = yield partial(send, self._sent_to(lease, run, later=later))
            if self._limits is not None:  # from now on the client's own timeouts count
                self._limits.lift()
                self._limits = None
            stream = answer.stream
            if not REPORTS.isdisjoint([name.lower() for name, _ in answer.headers.raw]):
                hear(answer.headers, lease)
            refusal = status_error(self.http, self._request, answer, lease.endpoint)
            pieces, outcome = (aiter if later else iter)(stream), outcome_of(refusal)
            first = yield from beginning(partial(anext if later else next, pieces, None), refusal)
            if refusal is not None and reads_more(refusal):
                outcome = self._judged(answer, refusal, first[:MOST_BYTES])
            return self._handed_on(answer, lease, outcome, pieces, first or None, later=later)
        except GeneratorExit:  # the task is collected: its driver handles the lease, and nothing may be awaited
            if stream is not None and not later:  # a thread was interrupted between two acts
                stream.close()
            raise
        except BaseException as error:
            failed = self._failed(error, lease, drive)  # first, as the following steps may be cancelled
            if stream is not None:
                with suppress(Exception):
                    yield stream.aclose if later else stream.close
            if failed is error:
                raise
            raise failed from None

    def _sent_to(self, lease: Lease, run: Run, *, later: bool) -> Any:
        sent = forwarded(self.http, self._request, lease.endpoint, self._body)
        if self._asks_load:
            sent.headers.setdefault(ASK, "TEXT")
        self._limits = StepTimeouts(sent, run) if run.cut_s < math.inf else None
        if self._rule.watches:
            self._sending = Sending()
            sent.extensions["trace"] = self._sending.traced(sent.extensions.get("trace"), later=later)
        return sent

    def _judged(self, answer: Any, error: Exception, content: bytes) -> Outcome:
        """Return the outcome of the lease if all of `answer` arrives. Raises `error` to try elsewhere instead.

        Args:
            answer: the answer.
            error: the error for its status.
            content: its body, as far as it was read.
        """
        error.body = _decoded(self.http, answer, content)  # type: ignore[attr-defined]  # `says_spent` looks there
        if may_go_elsewhere(error):
            answer.stream = self.http.ByteStream(content)
            raise error
        return outcome_of(error)

    def _handed_on(
        self, answer: Any, lease: Lease, outcome: Outcome, pieces: Any, first: bytes | None, *, later: bool
    ) -> Any:
        """Return `answer` with a body that holds the lease. `outcome` counts if all of the body arrives."""
        told = answer.headers.get("Content-Length", "")
        length = int(told) if told.isascii() and told.isdecimal() else None
        ids = None
        if self._session is not None:
            ids = self._session.answered(lease.endpoint.name, answer.status_code, answer.headers.multi_items())
        begun = BegunBody(answer.stream, pieces, first, usage_for(lease, answer.headers), length, ids)
        answer.stream = body = leased_body_class(self.http, later=later)(lease, outcome, begun)
        if answer.is_closed:  # made of its content, by a cache or a mock below: then no client reads the stream
            body.end_read(answer.content)
        return answer

    def _failed(self, error: BaseException, lease: Lease, drive: Drive) -> BaseException:
        """End the lease of a failed attempt, and return the error to raise."""
        counts_as = drive.counts_as(error)
        if not isinstance(error, Exception):
            end_lease(lease, counts_as)
            return error
        shown = redacted(error, lease.endpoint)
        if counts_as is not error:
            end_lease(lease, counts_as)
        elif self._limits is not None and self._limits.excuse(error):
            end_lease(lease, outcome=Outcome.IGNORED)
        else:
            end_lease(lease, shown)
        refusal = self._rule.refuses(self._sending, error) if may_go_elsewhere(shown) else ""
        why = refusal or ("" if self._body.may_be_sent else HALF_SENT)
        if not why:
            return shown
        shown.add_note(f"it was not tried again: {why}")
        tell_where(shown, drive.plan.tries, lease.endpoint.name)
        return FinalFailure(shown, last_word=bool(refusal))

    def came_to(self, error: Exception, drive: Drive) -> Any:
        """Return the last answer, if the plan ended with one. Else raise its error, as the client's library would."""
        last = error.error if isinstance(error, FinalFailure) else error
        answer = last_answer(last)
        plan = drive.plan
        retries = plan.terms.attempts > 1 and may_go_elsewhere(last)  # the pool's part, also if its budget is empty
        retried = error.last_word if isinstance(error, FinalFailure) else retries or plan.tries > 1
        last_word = retried or self._clock() >= plan.until_s or says_spent(last)
        if answer is None:
            raise for_client(self.http, self._request, last, last_word=last_word)
        if last_word:
            stop_retries(answer)
        return answer


class TransportBase:
    """The arguments of both transports.

    Args:
        pool: leases the endpoints: a `Pool` or an `AsyncPool`.
        inner: sends the requests. None: a transport of the client's library without connection limits, as the pool has
            its own. The limits of your own one must be above the number of all slots.
        options: attempts, deadline_s, acquire_timeout_s, key, labels, exclude, priority, holder, ttl_s, tokens, load,
            resend, sessions; see `RequestOptions`.

    Raises:
        MissingExtra: neither httpx2 nor httpx is installed.
        ValueError: a number is out of range.
        TypeError: `pool` is not a pool, or a string was given for a collection.
    """

    _INNER = ""  # the name of the library's own transport

    def __init__(self, pool: "Pool | TaskPool", *, inner: Any = None, **options: Unpack[RequestKeywords]) -> None:
        whole = whole_pool(pool)
        if not any(map(find_spec, LIBRARIES)):
            require("transports", type(self).__name__)
        self._pool = whole
        self._options = RequestOptions(**options)
        self._plans = RequestPlans(whole.engine, self._options)
        self._given = inner
        self._made: dict[str, Any] = {}
        self._lock = Lock()

    def _exchange(self, request: Any) -> RequestExchange:
        kind: Any = type(request)
        return RequestExchange(self._pool, self._options, self._plans, _library_of(kind), request)

    def _inner(self, http: ModuleType) -> Any:
        if self._given is not None:
            return self._given
        found = self._made.get(http.__name__)
        if found is None:
            with self._lock:
                found = self._made.get(http.__name__) or getattr(http, self._INNER)(limits=_unlimited(http))
                self._made[http.__name__] = found
        return found

    def _inners(self) -> list[Any]:
        return [self._given] if self._given is not None else list(self._made.values())


def whole_pool(pool: "Pool | TaskPool") -> Pool:
    """Return the pool of an `AsyncPool`, or of `pool.aio`. Raises TypeError if it is neither."""
    whole = getattr(pool, "pool", pool)
    if not isinstance(whole, Pool):
        raise TypeError(f"pool is {pool!r}; it takes a balancer.Pool or AsyncPool")
    return whole


def reads_more(error: Exception | None) -> bool:
    """Return whether the body of an answer with `error` is read before the answer is judged.

    It is if the answer may be held back, or if its text may say that the account has no quota left.
    """
    return error is not None and (may_go_elsewhere(error) or status_of(error) in REFUSALS)


def beginning(read: Callable[[], Any], error: Exception | None) -> Acts[bytes]:
    """Return the part of a body that is read before the answer is judged. For an error that is all, up to a limit.

    Args:
        read: an act that returns the next piece, None at the end.
        error: the error for the answer's status.
    """
    pieces, size, least = [], 0, MOST_BYTES if reads_more(error) else 0
    while size <= least and (piece := (yield read)) is not None:
        pieces.append(piece)
        size += len(piece)
    return b"".join(pieces)  # for one piece this returns the same object


def _decoded(http: ModuleType, answer: Any, content: bytes) -> bytes:
    """Return the decoded body of an error; b"" if it cannot be decoded, or is too long for an error."""
    if len(content) > _LONGEST_ERROR:
        return b""
    coding = answer.headers.get("Content-Encoding")
    try:
        read: bytes = http.Response(
            200, headers={"Content-Encoding": coding} if coding else {}, content=content
        ).content
    except http.DecodingError:
        return b""
    return read


@lru_cache(16)
def _library_of(request: type) -> ModuleType:
    """Return the library of a class of requests, httpx2 or httpx."""
    kinds = (each.__module__.partition(".")[0] for each in request.__mro__)
    name = next((kind for kind in kinds if kind in LIBRARIES), None)
    if name is None:
        raise TypeError(f"found a request of {request.__module__}; this transport takes those of httpx2 and httpx")
    return import_module(name)


def _unlimited(http: ModuleType) -> Any:
    return http.Limits(max_connections=None, max_keepalive_connections=None)
