"""One request and its answer, for every client: how far an answer is read, how it counts, what the client gets.

This is the one place where an attempt is judged. It ends with an answer that holds the lease, or with an error that has
ended it. A subclass knows the words of one library. `ThreadRequest` and `TaskRequest` carry out the attempt plan of a
request, as `Pool.call` does.
"""

import math
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, MutableMapping, Sequence
from contextlib import suppress
from email.utils import formatdate
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

from balancer.answers import ASK
from balancer.core.attempt_plan import AttemptPlans
from balancer.core.decisions import CallPolicy, Run
from balancer.endpoint import Blame, Endpoint, Lease, Outcome, judged
from balancer.errors import AcquireTimeout, BalancerError, CannotTell, NoEndpoint, PoolClosed, TooManyWaiters
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
from balancer.transports.leased_body import BegunBody, end_lease
from balancer.transports.reports import hear, usage_for
from balancer.transports.request_options import RequestKeywords, RequestOptions
from balancer.transports.resend import HALF_SENT, FinalFailure, ResendRule, Sending
from balancer.transports.time_bound import TimeBound

if TYPE_CHECKING:
    from balancer.opening.aio import TaskPool

__all__ = [
    "MOST_BYTES",
    "AnyPool",
    "ClientErrors",
    "PooledRequests",
    "RequestExchange",
    "TaskRequest",
    "ThreadRequest",
    "date_it",
]

MOST_BYTES = 2**20
"""How many bytes of the body of an answer are kept if the answer is not passed on at once."""

_MOST_WAITS = 64  # limits of clients for which a plan is kept
_UNCUT = Run()
_WELL = Blame(Outcome.SUCCESS, False)
_OURS: tuple[Any, ...] = (DeadlinePassed, (AcquireTimeout, TooManyWaiters), (NoEndpoint, PoolClosed))

AnyPool: TypeAlias = "Pool | TaskPool"
"""A `Pool` or an `AsyncPool`."""

Drive = CallDriver[Any]
ClientErrors = Sequence[Callable[[str], Exception]]
"""A client's own errors: for a deadline that has passed, for no free slot, for nobody to ask."""


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
    """

    later = False  # True in a task
    peeks = True  # whether a body may be begun to see that it comes
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
    def lend(self, answer: Any, lease: Lease, outcome: Outcome, begun: BegunBody) -> None:
        """Let the body of an answer hold the lease. `outcome` counts if all of it arrives."""

    @property
    @abstractmethod
    def may_be_sent(self) -> bool:
        """Whether the body of the request can be sent once more."""

    @abstractmethod
    def errors(self) -> ClientErrors:
        """Return the client's own errors."""

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
            self.lend(answer, lease, told.outcome, BegunBody(body, pieces, first or None, usage, ids))
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
        for ours, theirs in zip(_OURS, self.errors(), strict=True):
            if isinstance(error, ours):
                known = theirs(str(error))
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
