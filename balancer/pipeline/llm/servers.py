"""Model servers: a question goes to one of them, and to another one if that fails.

Decides how long an outage of all servers is waited for, and that a server which will never answer is not asked again. A
shell: it knows the pool and the clients. It must not know what is asked, nor what an answer is worth.
"""

import threading
import time
from collections.abc import Callable, Mapping

from balancer.core.attempt_plan import AttemptPlan
from balancer.core.decisions import CallPolicy, Run
from balancer.endpoint import Lease
from balancer.errors import BalancerError
from balancer.judging.outage import SharedOutage
from balancer.pipeline.llm.client import Declined, ModelClient, ModelReply, ServerUnusable
from balancer.pool.pool import Pool
from balancer.shells.driver import ThreadDriver
from balancer.shells.lease_request import LeaseRequest

__all__ = ["ModelServers", "NotAnswered"]

# Servers of models say that they are busy as a matter of course. Five tries over one that is dead and one that was busy
# two times of three were not enough for each question: an unlucky one met no answer while others did.
_TRIES = 20


class NotAnswered(BalancerError):
    """No server answered, for no fault of the question's: it may be asked again some other day."""


class ModelServers:
    """The servers. Thread-safe.

    Args:
        pool: leases them.
        clients: one for each, by the name of its endpoint.
        outage_s: while no question is answered, each is tried beyond its tries for so many seconds.
        say: told of each server that will never answer, and of the first question that nobody answers.
    """

    def __init__(
        self, pool: Pool, clients: Mapping[str, ModelClient], *, outage_s: float, say: Callable[[str], object]
    ) -> None:
        self._pool = pool
        self._clients = clients
        self._outage = SharedOutage(outage_s)
        self._say = say
        self._lock = threading.Lock()
        self._told = False
        self._spent: dict[str, str] = {}  # a server that will never answer, and its words

    def ask(self, messages: list[dict[str, str]], pause: Callable[[float], object] = time.sleep) -> ModelReply:
        """Return the answer of some server to `messages`.

        Args:
            messages: with a role and a content each.
            pause: waits so many seconds, between tries; what it raises ends the call.

        Raises:
            NotAnswered: no server did.
            Declined: one would not answer this.
        """
        while True:
            with self._lock:
                spent = dict(self._spent)
            if len(spent) == len(self._clients):
                raise self._not_answered("; ".join(spent.values()))
            drive = self._drive(messages, frozenset(spent), pause)
            try:
                return drive.run()
            except ServerUnusable as error:
                self._give_up(drive.at, error)
            except Declined:
                raise
            except BalancerError as error:
                raise self._not_answered("; ".join([str(error), *getattr(error, "__notes__", ())])) from None

    def _drive(
        self, messages: list[dict[str, str]], spent: frozenset[str], pause: Callable[[float], object]
    ) -> ThreadDriver[ModelReply]:
        able = len(self._clients) - len(spent)
        # Dead servers must not use up the tries that a sound one is owed; an outage is waited for.
        terms = CallPolicy(
            attempts=max(_TRIES, able),
            owed=able,
            persists=True,
            retries=self._pool.engine.retries,
            wait_s=self._pool.engine.acquire_timeout_s,
        )
        plan = AttemptPlan(terms, budget=self._pool.engine.budget, rng=self._pool.engine.jitter, outage=self._outage)

        def make(run: Run, hand: list[Lease]) -> ModelReply:
            pause(0)  # whoever was told to stop begins nothing
            with hand[0] as lease:
                return self._clients[lease.endpoint.name].ask(messages)

        return ThreadDriver(self._pool.engine, plan, LeaseRequest(exclude=spent), make, sleep=pause)

    def _give_up(self, name: str, error: ServerUnusable) -> None:
        with self._lock:
            known = name in self._spent
            self._spent[name] = str(error)
        if not known:
            self._say(f"{error}; it is not asked again in this run")

    def _not_answered(self, why: str) -> NotAnswered:
        with self._lock:
            first, self._told = not self._told, True
        if first:
            self._say(f"no server of the model answers: {why}; what it was to propose is left to the next run")
        return NotAnswered(why)
