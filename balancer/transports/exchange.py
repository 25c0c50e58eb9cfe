"""One request and its answer, for every client: how far an answer is read, how it counts, what the client gets.

This is the one place where an attempt is judged. It ends with an answer whose body holds the lease until it ends, or
with an error that has ended the lease. A subclass knows the words of one library. `ThreadRequest` and `TaskRequest`
carry out the attempt plan of a request, as `Pool.call` does.

The outcome of a lease: of a body that is read to its end, the one of the status; of an error while reading, the one of
that error; of a body that is closed before its end, IGNORED, unless all that matters had arrived. After the first byte,
the request goes nowhere else. The used tokens are reported when the whole body has arrived. A body that ends earlier
may have used more, so the estimate counts.

Nothing happens when an unread body is collected, as that may be inside a call of the pool in the same thread. Its lease
is then abandoned, and its pool ends it as IGNORED (docs/decisions/core.md).
"""

import math
import time
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Iterator, MutableMapping
from contextlib import suppress
from email.utils import formatdate
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

from balancer.answers import ASK
from balancer.core.attempt_plan import AttemptPlans
from balancer.core.decisions import CallPolicy, Run
from balancer.endpoint import Blame, Endpoint, Lease, Outcome, judged
from balancer.errors import (
    AcquireTimeout,
    BalancerError,
    CannotTell,
    LeaseError,
    NoEndpoint,
    PoolClosed,
    PoolForked,
    TooManyWaiters,
)
from balancer.opening.pool import Pool
from balancer.shells.driver import (
    Acts,
    CallDriver,
    DeadlinePassed,
    TaskDriver,
    ThreadDriver,
    follow,
    follow_in_task,
    tell_where,
)
from balancer.transports.forwarding import headers_of, redacted
from balancer.transports.reports import UsageReader, hear
from balancer.transports.request_options import RequestKeywords, RequestOptions
from balancer.transports.resend import HALF_SENT, FinalFailure, ResendRule, Sending
from balancer.transports.sessions import IdReader
from balancer.transports.time_bound import TimeBound

if TYPE_CHECKING:
    from balancer.opening.aio import TaskPool

__all__ = [
    "MOST_BYTES",
    "AnyPool",
    "LeasedBody",
    "PooledRequests",
    "RequestExchange",
    "TaskRequest",
    "ThreadRequest",
    "date_it",
    "end_lease",
    "usage_for",
]

MOST_BYTES = 2**20
"""How many bytes of the body of an answer are kept if the answer is not passed on at once."""

_MOST_WAITS = 64  # limits of clients for which a plan is kept
_LAST_EVENT = b"[DONE]"  # OpenAI's clients close a stream of events here, without reading on
_TAIL = 64
_UNCUT = Run()
_WELL = Blame(Outcome.SUCCESS, False)
_OURS: tuple[Any, ...] = (DeadlinePassed, (AcquireTimeout, TooManyWaiters), (NoEndpoint, PoolClosed))

AnyPool: TypeAlias = "Pool | TaskPool"
"""A `Pool` or an `AsyncPool`."""

Drive = CallDriver[Any]


def usage_for(lease: Lease, headers: Any, *, decoded: bool = False) -> UsageReader | None:
    """Return a reader of the tokens of `lease` from the body of an answer; None if no quota counts them.

    Args:
        lease: of the call.
        headers: of the answer.
        decoded: True if the body comes without its Content-Encoding.
    """
    if getattr(lease, "charge", None) is None and lease.endpoint.quota is None:
        return None
    return UsageReader(headers.get("Content-Type") or "", "" if decoded else headers.get("Content-Encoding") or "")


def end_lease(
    lease: Lease,
    error: BaseException | None = None,
    outcome: Outcome | None = None,
    usage: UsageReader | None = None,
) -> None:
    """End `lease` if it is still out: after `error`, or with `outcome`. Never raises, as the answer matters more.

    `usage` has read the whole body.
    """
    if lease.ended:
        return
    with suppress(LeaseError, PoolForked):
        if error is not None:
            lease.release_after(error)
        else:
            lease.release(outcome, tokens=None if usage is None else usage.tokens)


class LeasedBody:
    """A body that arrives in pieces, and its lease.

    Args:
        lease: ends with the body.
        outcome: the outcome of the lease if all of the body arrives.
        inner: the body of the inner transport.
        pieces: its iterator.
        first: what was taken from that already; None: the body ended without any.
        readers: read the tokens of the call, and the ids that it gives; None: these do not count.

    Attributes:
        inner, first: as above.
        left: how many bytes are left; None: unknown.
    """

    def __init__(
        self,
        lease: Lease,
        outcome: Outcome,
        inner: Any,
        pieces: Any,
        first: bytes | None,
        readers: tuple[UsageReader | None, IdReader | None],
    ) -> None:
        self.inner, self.first = inner, first
        self.left: int | None = None
        self._lease: Lease | None = lease
        self._outcome = outcome
        self._pieces = pieces
        self._usage = readers[0]
        self._readers = [each for each in readers if each is not None]
        self._tail = b""
        self._over = False
        if first is None:
            self._end_whole()

    def end_read(self, content: bytes) -> None:
        """End it: all of it, which is `content`, is with its reader already."""
        for reader in self._readers:
            reader.feed(content)
        self._end_whole()

    def _count(self, piece: bytes) -> None:
        self._tail = (self._tail + piece)[-_TAIL:]
        if self.left is not None:
            self.left -= len(piece)
        for reader in self._readers:
            reader.feed(piece)

    def _end(
        self, error: BaseException | None = None, outcome: Outcome | None = None, usage: UsageReader | None = None
    ) -> None:
        self._over = True
        lease, self._lease = self._lease, None
        lender: Any = lease.lender if lease is not None else None
        # The owner of the body was collected inside a call of the pool, which closes the body. Then drop the lease: its
        # pool will find it.
        if lease is not None and not lender.is_inside():
            end_lease(lease, error, outcome, usage)

    def _fail(self, error: BaseException) -> None:
        """End the lease after `error`, which may be the end of the body.

        Raises the error in other words if it quotes a secret of the endpoint.
        """
        if isinstance(error, StopIteration | StopAsyncIteration):
            self._end_whole()
            return
        shown = error
        if isinstance(error, Exception) and self._lease is not None:
            shown = redacted(error, self._lease.endpoint)
        self._end(shown)
        if shown is not error:
            raise shown from None

    def _end_unread(self) -> None:
        """End the lease: the reader closed the body."""
        if self.left == 0 or _LAST_EVENT in self._tail:
            self._end_whole()
        else:
            self._end(outcome=Outcome.IGNORED)

    def _end_whole(self) -> None:
        """End the lease: all of the body has arrived, or all that matters."""
        self._end(outcome=self._outcome, usage=self._usage)

    # -- for a thread, and for a task --------------------------------------------------------------

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._next_piece, None)  # not this object: Python closes an iterator that has a `close`

    def __aiter__(self) -> AsyncIterator[bytes]:
        return _LaterPieces(self)

    def _next_piece(self) -> bytes:
        first, self.first = self.first, None
        if first is None and self._over:
            raise StopIteration
        try:
            piece: bytes = next(self._pieces) if first is None else first
            self._count(piece)
        except BaseException as error:  # also of a piece that is no bytes
            self._fail(error)
            raise
        return piece

    async def next_piece(self) -> bytes:
        """Return the next piece, in a task."""
        first, self.first = self.first, None
        if first is None and self._over:
            raise StopAsyncIteration
        try:
            piece: bytes = await anext(self._pieces) if first is None else first
            self._count(piece)
        except BaseException as error:  # also of a piece that is no bytes
            self._fail(error)
            raise
        return piece

    def close(self) -> None:
        """Close the body before its end."""
        self._end_unread()
        self.inner.close()

    async def aclose(self) -> None:
        """Close the body before its end, in a task."""
        self._end_unread()  # first: the rest may fail, or the task may be cancelled
        await self.inner.aclose()


class _LaterPieces:
    """Iterates over a leased body. A separate object, as Python closes an iterator that has an `aclose`."""

    __slots__ = ("_body",)

    def __init__(self, body: LeasedBody) -> None:
        self._body = body

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        return await self._body.next_piece()


class PooledRequests:
    """The requests of one client: the pool that they lease from, and their options. All clients over a pool have it.

    Args:
        pool: a `Pool` or an `AsyncPool`.
        options: see `RequestOptions`.

    Raises:
        ValueError: a number is out of range, or `resend` is unknown.
        TypeError: `pool` is not a pool, or a string was given for a collection.
    """

    def __init__(self, pool: AnyPool, options: RequestKeywords) -> None:
        whole_pool = getattr(pool, "pool", pool)
        if not isinstance(whole_pool, Pool):
            raise TypeError(f"pool is {pool!r}; it takes a balancer.Pool or AsyncPool")
        self.pool = whole_pool
        self.engine = whole_pool.engine
        self.options = RequestOptions(**options)
        self._known: dict[float | None, AttemptPlans] = {}

    def plans(self, wait_s: float | None) -> AttemptPlans:
        """Return what makes the plan of a request whose client waits so long for a connection; None: unknown.

        The smaller limit of client and pool counts, as clients have default limits: OpenAI's ten minutes, httpx's five
        seconds. A limit of the transport itself replaces both.
        """
        if (found := self._known.get(wait_s)) is not None:
            return found
        engine, options = self.engine, self.options
        said_s = engine.acquire_timeout_s if wait_s is None else min(wait_s, engine.acquire_timeout_s)
        policy = CallPolicy(
            attempts=options.attempts,
            retries=engine.retries,
            wait_s=said_s if options.acquire_timeout_s is None else options.acquire_timeout_s,
            deadline_s=math.inf if options.deadline_s is None else options.deadline_s,
        )
        found = AttemptPlans(policy, budget=engine.budget, rng=engine.jitter)
        if len(self._known) < _MOST_WAITS:
            self._known[wait_s] = found
        return found


class RequestExchange(ABC):
    """One request, from its client and back. A subclass is for one library.

    An *act* is a call without arguments: a thread makes it, a task awaits what it returns.

    Args:
        requests: of the client.
        request: of the client.
        target: its path and query.
        wait_s: how many seconds its client waits for a connection; None: unknown.

    Attributes:
        engine: of the pool.
        asked: what it asks the pool for.
        plans: makes its attempt plan.
        kinds: the client's own errors: for a deadline that has passed, for no free slot, for nobody to ask.
    """

    kinds: tuple[Any, Any, Any]
    later = False  # True in a task
    peeks = True  # whether a body may be begun to see that it comes
    leased: type[LeasedBody] = LeasedBody  # the kind of its bodies
    decoded = True  # whether bodies come without their Content-Encoding

    _sending = Sending()  # of the current attempt, if somebody tells
    _refused: "tuple[Exception, Any] | None" = None  # the last answer that was held back, with its error

    def __init__(self, requests: PooledRequests, request: Any, target: str, wait_s: float | None = None) -> None:
        options = requests.options
        self.engine = requests.engine
        self.asked, self._session = options.always or options.placed(requests.pool, request, target)
        self.plans = requests.plans(wait_s)
        self._request = request
        self._asks_load = options.load
        self._rule = ResendRule(options.resend, request.method, request.headers) if options.resend != "always" else None

    # -- what a library calls it ---------------------------------------------------------------------

    @abstractmethod
    def send(self, lease: Lease, run: Run) -> Any:
        """Send the request to the leased endpoint (an act). ConfigError: its URL is not http or https."""

    @abstractmethod
    def refusal_of(self, answer: Any, name: str) -> Exception | None:
        """Return the error that the client raises for the status of an answer of the endpoint `name`, or None."""

    @abstractmethod
    def body_of(self, answer: Any) -> Any:
        """Return the body of an answer, as it comes."""

    @abstractmethod
    def pieces_of(self, body: Any) -> Any:
        """Return its pieces: an iterator, in a task an asynchronous one."""

    @abstractmethod
    def closing(self, body: Any) -> Callable[[], Any]:
        """Return the act that closes a body before its end."""

    @abstractmethod
    def hold(self, answer: Any, content: bytes) -> None:
        """Make `content` the whole body of an answer that may be handed on later."""

    @abstractmethod
    def lend(self, answer: Any, body: Any) -> None:
        """Make `body`, which holds the lease, the body of an answer."""

    @property
    @abstractmethod
    def may_be_sent(self) -> bool:
        """Whether the body of the request can be sent once more."""

    def hear(self, answer: Any, lease: Lease) -> None:
        """Report the load in the headers of an answer."""
        hear(answer.headers, lease)

    def decode(self, answer: Any, content: bytes) -> bytes:
        """Return the decoded body of an error; b"" if it cannot be read."""
        return content

    def address(self, headers: MutableMapping[str, str], endpoint: Endpoint) -> None:
        """Make the headers of a request those that `endpoint` gets. Its own replace those of the client."""
        if self._asks_load:
            headers.setdefault(ASK, "TEXT")
        for name, value in headers_of(endpoint).items():
            headers[name] = value

    def made(self, kind: Any, text: str) -> Exception:
        """Return an error of the client's library."""
        error: Exception = kind(text, request=self._request)
        return error

    def as_theirs(self, error: Exception) -> Exception:
        """Return an error of an attempt as the client's library would raise it."""
        return error

    # -- an attempt ----------------------------------------------------------------------------------

    def attempt(self, drive: Drive, run: Run = _UNCUT) -> Acts[Any]:
        """Send the request to the endpoint that `drive` has leased. Return its answer, which holds the lease.

        After an error the lease has ended.

        Args:
            drive: its driver.
            run: if it has a deadline, no step of the client may take longer than the time until then.
        """
        lease, body = drive.hand[0], None
        try:
            answer = yield partial(self.send, lease, run)
            body = self.body_of(answer)
            self.hear(answer, lease)
            refusal = self.refusal_of(answer, lease.endpoint.name)
            told = _WELL if refusal is None else judged(refusal)
            pieces = self.pieces_of(body)
            # It may be held back, or its text may count: then all of it is read first.
            reads_more = told.elsewhere or told.unread
            first = yield from self._beginning(pieces, MOST_BYTES if reads_more else 0 if self.peeks else -1)
            if refusal is not None and reads_more:
                told = self._read(answer, refusal, first[:MOST_BYTES])
            ids = None
            if self._session is not None and refusal is None:
                named = getattr(answer.headers, "multi_items", answer.headers.items)()  # httpx joins those of one name
                ids = self._session.answered(lease.endpoint.name, named, decoded=self.decoded)
            usage = usage_for(lease, answer.headers, decoded=self.decoded)
            began = first or None if self.peeks else first
            self.lend(answer, self.leased(lease, told.outcome, body, pieces, began, (usage, ids)))
        except GeneratorExit:  # the task is collected: its driver handles the lease, and nothing may be awaited
            if body is not None and not self.later:  # a thread was interrupted between two acts
                self.closing(body)()
            raise
        except BaseException as error:
            failed = self._failed(error, drive.counts_as(error), lease, drive)  # first: closing may be cancelled
            if body is not None:
                with suppress(Exception):
                    yield self.closing(body)
            if failed is error:
                raise
            raise failed from None
        return answer

    def _beginning(self, pieces: Any, most: int) -> Acts[bytes]:
        """Return the pieces of a body that come first, until they have more than `most` bytes."""
        read, size = [], 0
        act = partial(anext if self.later else next, pieces, None)
        while size <= most and (piece := (yield act)) is not None:
            read.append(piece)
            size += len(piece)
        return b"".join(read)  # for one piece this returns the same object

    def _read(self, answer: Any, refusal: Exception, content: bytes) -> Blame:
        """Return what counts now that the text of `answer` is known. Raises `refusal` to try elsewhere instead."""
        refusal.body = self.decode(answer, content)  # type: ignore[attr-defined]  # `says_spent` looks there
        told = judged(refusal)
        if told.elsewhere:
            self.hold(answer, content)
            self._refused = refusal, answer
            raise refusal
        return told

    def _failed(self, error: BaseException, counts_as: BaseException, lease: Lease, drive: Drive) -> BaseException:
        """End the lease of a failed attempt, and return the error to raise."""
        if not isinstance(error, Exception):
            end_lease(lease, counts_as)
            return error
        shown = self.as_theirs(redacted(error, lease.endpoint))
        end_lease(lease, shown if counts_as is error else counts_as)
        if not judged(shown).elsewhere:
            return shown
        refused = self._rule.refuses(self._sending, error) if self._rule is not None else ""
        why = refused or ("" if self.may_be_sent else HALF_SENT)
        if not why:
            return shown
        shown.add_note(f"it was not tried again: {why}")
        tell_where(shown, drive.plan.tries, lease.endpoint.name)
        return FinalFailure(shown, last_word=bool(refused))

    # -- its end -------------------------------------------------------------------------------------

    def came_to(self, error: Exception, drive: Drive) -> Any:
        """Return the last answer, if the plan ended with one. Else raise its error, as the client's library would."""
        last = error.error if isinstance(error, FinalFailure) else error
        plan, told = drive.plan, judged(last)
        retries = plan.terms.attempts > 1 and told.elsewhere  # the pool's part, also if its budget is empty
        retried = error.last_word if isinstance(error, FinalFailure) else retries or plan.tries > 1
        last_word = retried or self.engine.clock() >= plan.until_s or getattr(told.hint, "spent", False)
        if self._refused is None or self._refused[0] is not last:
            raise self.for_client(last, last_word=last_word)
        return self.handed_back(self._refused[1], last_word=last_word)

    def handed_back(self, answer: Any, *, last_word: bool) -> Any:
        """Return an answer that was held back. `last_word`: the client must not ask again either."""
        return answer

    def for_client(self, error: Exception, *, last_word: bool) -> Exception:
        """Return `error` as one of the client's library, with the notes: where and how often the request was tried."""
        known = error
        for ours, theirs in zip(_OURS, self.kinds, strict=True):
            if isinstance(error, ours):
                known = self.made(theirs, str(error))
                known.__cause__ = error
        if last_word or isinstance(error, BalancerError):
            known = self.last_word(known)
        for note in getattr(error, "__notes__", ()) if known is not error else ():
            known.add_note(note)
        return known

    def last_word(self, error: Exception) -> Exception:
        """Return an error after which the client does not ask again by itself."""
        return error


class ThreadRequest(ThreadDriver[Any]):
    """One request along its plan. An attempt that still runs at the deadline is ended, as it would be in a task.

    Args:
        exchange: the request.
    """

    _bound: TimeBound | None = None  # of the current attempt
    _run_now = Run()

    def __init__(self, exchange: RequestExchange) -> None:
        super().__init__(exchange.engine, exchange.plans, exchange.asked)
        self._exchange = exchange

    def answer(self) -> Any:
        """Return the answer of some endpoint, or raise an error of the client's library."""
        try:
            return self.run()
        except Exception as error:
            ended = error
        return self._exchange.came_to(ended, self)

    def attempt(self, run: Run) -> Any:
        """Make one attempt."""
        if run.cut_s == math.inf:
            return self._attempt(run)
        self._run_now, self._bound = run, TimeBound(run.cut_s)
        try:
            with self._bound:
                return self._attempt(run)
        except Exception:
            if not self._bound.is_over:
                raise
        raise self.overrun()

    def _attempt(self, run: Run) -> Any:
        answer = follow(self._exchange.attempt(self, run))
        self.hand.clear()  # now the body has the lease
        return answer

    def counts_as(self, error: BaseException) -> BaseException:
        """Return the error that ends the lease, for an attempt that ended by `error`."""
        if self._bound is None or not isinstance(error, Exception):
            return error
        # An inner transport that keeps no bound has shorter timeouts.
        timed_out = type(error).__name__.endswith("Timeout") and self._clock() >= self.plan.until_s
        if not (self._bound.is_over or timed_out):
            return error
        return self.late() if self._run_now.cut_blames else CannotTell("it was asked too late")


class TaskRequest(TaskDriver[Any]):
    """One request along its plan, in a task.

    Args:
        exchange: the request.
    """

    def __init__(self, exchange: RequestExchange) -> None:
        super().__init__(exchange.engine, exchange.plans, exchange.asked)
        self._exchange = exchange

    async def answer(self) -> Any:
        """Return the answer of some endpoint, or raise an error of the client's library."""
        try:
            return await self.run()
        except Exception as error:
            ended = error
        return self._exchange.came_to(ended, self)

    async def attempt(self, run: Run) -> Any:
        """Make one attempt."""
        answer = await follow_in_task(self._exchange.attempt(self))
        self.hand.clear()  # now the body has the lease
        return answer


def date_it(headers: Any) -> None:
    """Add a date to an answer without one: a date in its Retry-After is compared with it."""
    if "Date" not in headers:  # RFC 9110, 6.6.1 asks for it
        headers["Date"] = formatdate(time.time(), usegmt=True)
