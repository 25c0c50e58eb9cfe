"""Leader election of a pool's servers, in a store that outlives them: carries out the steps of a claim.

`balancer.cluster.protocol.claim` decides. A store is an object of a plugin (`balancer_stores`), or Ray's control store.
"""

import secrets
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final, TypeVar

from balancer.cluster.protocol import ClusterTimes, CoordinatorRecord
from balancer.cluster.protocol.claim import LEADER_SHARE, ClaimWatch, ServerClaim, Steps
from balancer.hookspecs import KeyValueStore

__all__ = ["LeaderClaim"]

_LOOKS: Final = 4.0  # within the time for which a server is sure

T = TypeVar("T")


class LeaderClaim:
    """A server's claim to be the only one of a pool, in a store.

    Args:
        pool: its name; the same for all servers.
        times: see `claim_times`.
        store: where the claim is.
        clock: seconds.
        none: what to believe if nobody has the claim; None: that leases may be out.

    Attributes:
        shown: what those that stand by show of this server, e.g. its address.
        period_s: how often to confirm the claim, or to look at that of another one.
        trouble: why the store does not answer; "": it does.
    """

    def __init__(
        self,
        pool: str,
        times: ClusterTimes,
        store: KeyValueStore,
        clock: Callable[[], float],
        *,
        none: CoordinatorRecord | None = None,
    ) -> None:
        self._claim = ServerClaim(pool, secrets.token_hex(8), times, none)
        self._watch = ClaimWatch(self._claim, times.ttl_s)
        self._store = store
        self._clock = clock
        self.shown = ""
        self._ending = threading.Event()
        self._then: Callable[[], object] = bool
        self.period_s = LEADER_SHARE * times.ttl_s / _LOOKS
        self.trouble = ""

    # -- taking it ---------------------------------------------------------------------------------

    def take(self) -> None:
        """Take the claim, whoever has it: somebody else says that the other one is dead. Raises OSError."""
        while not self._do(self._claim.take(self._store.get(self._claim.name), self._clock())):
            pass
        self.look()

    def stand_by(self) -> bool:
        """Look at the server that has the claim, and take it if that one is silent. Return whether it was taken.

        Raises:
            OSError: the store cannot be reached.
        """
        return self._do(self._watch.look(self._clock()))

    @property
    def serving(self) -> str:
        """What the server shows that has the claim, as last seen; "": nothing."""
        return " ".join((self._watch.seen or "").split(" ")[2:])

    @property
    def last(self) -> CoordinatorRecord | None:
        """The predecessor's record; None: it cannot be read."""
        return self._claim.last

    # -- having it ---------------------------------------------------------------------------------

    @property
    def sure(self) -> bool:
        """Whether this server may send."""
        return self._clock() < self._claim.until_s

    @property
    def lost(self) -> bool:
        """Whether another server has the claim, or the store has forgotten it."""
        return self._claim.lost

    def why_not(self) -> str:
        """Return why this server may not send, for people."""
        if self.lost:
            return "this server has lost its claim: another one serves the pool, or the store was started again"
        why = self.trouble or f"{self._store.called} does not answer in time"
        return f"it cannot confirm that no other server serves this pool, so it grants nothing: {why}"

    def look(self) -> bool:
        """Look whether this server still has the claim, and return that. Raises OSError."""
        return self._do(self._claim.look(self._clock()))

    def keep(self, record: CoordinatorRecord) -> None:
        """Write the record. Raises OSError, also if another server has the claim: then nothing is sent."""
        if not self._do(self._claim.keep(record)):
            raise OSError(self.why_not())

    def stay(self, tell: Callable[[str], object] = bool) -> None:
        """Beat again and again, until the claim is lost or given up. For a thread.

        `tell` is called with a line when the server may send no more, and when it may again.
        """
        sends = True
        while not self.lost and not self._ending.is_set():
            with suppress(OSError):  # then it is no longer sure, and sends nothing
                self._do(self._claim.beat(self.shown, self._clock()))
            if self.sure is not sends and not self.lost:
                sends = not sends
                tell("it has confirmed its claim, and grants again" if sends else self.why_not())
            self._ending.wait(self.period_s)
        self._then()

    def when_lost(self, then: Callable[[], object]) -> None:
        """Have `then` called, in any thread, when `stay` returns."""
        self._then = then
        if self.lost:
            then()

    def leave(self) -> None:
        """Give the claim up, if this server has it; `stay` returns. Another one may take it at once."""
        self._ending.set()
        if not self.lost:
            with suppress(OSError):  # the others wait until it has been silent for long enough
                self._do(self._claim.leave())

    def _do(self, steps: "Steps[T]") -> T:
        answer: Any = None
        try:
            call = next(steps)
            while True:
                answer = self._answer(call.verb, call.name, call.text, call.before)
                call = steps.send((answer, self._clock()))
        except StopIteration as over:
            done: T = over.value
            self.trouble = ""
            return done
        except OSError as error:
            self.trouble = str(error)
            raise

    def _answer(self, verb: str, name: str, text: str, before: str | None) -> Any:
        if verb == "get":
            return self._store.get(name)
        if verb == "put":
            return self._store.put(name, text)
        if verb == "drop":
            return self._store.drop(name)
        return self._store.swap(name, before, text)
