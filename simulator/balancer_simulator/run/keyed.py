"""Keys and sessions in virtual time: each request gets its key and the endpoint of its session, as from a transport.

The table of sessions is that of production, and the strategy sees the same keys. What comes of it is counted.
"""

from dataclasses import replace
from typing import Final

from balancer.core import Core
from balancer.core.account import Account
from balancer.core.session_table import SessionTable, may_leave
from balancer.errors import UnknownEndpoint
from balancer_simulator.run.disciplines import BASELINES
from balancer_simulator.run.log import CallLog
from balancer_simulator.run.record import ANSWERED, part_of
from balancer_simulator.scenario.fields import Policy
from balancer_simulator.scenario.scenario import Scenario
from balancer_simulator.world.cache import PromptTally
from balancer_simulator.world.task import Task

__all__ = ["KeyedCallLog", "leaves_failed"]

_IDLE_S: Final = 3600.0  # as `Sessions` of a transport, and its number
_MOST_SESSIONS: Final = 100_000


def leaves_failed(policy: Policy) -> bool:
    """Return whether a request that failed at the endpoint of its session is tried elsewhere."""
    return policy.sessions is not None and "gone" in policy.sessions.elsewhere


class KeyedCallLog(CallLog):
    """Counts of requests that have prompts or sessions. An arrival gets its key and its endpoint here.

    Args:
        scenario: of the run.
        policy: says what is the key, and whether sessions stay.
        core: has the endpoints.
    """

    def __init__(self, scenario: Scenario, policy: Policy, core: Core, *, keep: bool) -> None:
        super().__init__(scenario, keep=keep)
        self._policy = policy
        self._core = core
        self._keyed = policy.strategy not in BASELINES
        rules = policy.sessions
        self._table = SessionTable(_IDLE_S, _MOST_SESSIONS) if rules is not None else None
        self._homes: dict[str, str] = {}  # where the last turn of each session was answered
        self._sessions: set[str] = set()
        self._broken: set[str] = set()
        self._later = self._moved = 0

    def arrive(self, task: Task) -> None:
        """Note a request that has come, and give it its key and its endpoint."""
        session = task.demand.session
        if session and task.arrived_s >= self._from_s:
            self._sessions.add(session)
        if self._keyed:
            request = replace(task.demand.request, key=self._key(task), only=self._home(session, task.arrived_s))
            task.request = request
            task.demand = replace(task.demand, request=request)
        super().arrive(task)

    def over(self, task: Task, now: float, outcome: int) -> None:
        """Count a request that is over, and learn where its session lives."""
        session, counts = task.demand.session, task.arrived_s >= self._from_s
        if session and outcome != ANSWERED:
            if counts:
                self._broken.add(session)
        elif session:
            endpoint = task.lease.endpoint.name
            before = self._homes.get(session)
            if before is not None and counts:
                self._later += 1
                self._moved += before != endpoint
            self._homes[session] = endpoint
            if self._table is not None and self._policy.sessions is not None:
                self._table.bind(session, endpoint, now, first=not self._policy.sessions.elsewhere)
        super().over(task, now, outcome)

    def affinity(self, prompts: PromptTally) -> dict[str, float | None]:
        """Return the figures of prompts and sessions, by name."""
        busy = [each.busy_s / each.slots_s for each in self.endpoints() if each.slots_s]
        mean = sum(busy) / len(busy) if busy else 0.0
        return {
            "cached_blocks": part_of(prompts.met, prompts.asked),
            "cached_at_best": part_of(prompts.seen, prompts.asked),
            "imbalance": max(busy) / mean if mean else None,
            "moved_turns": part_of(self._moved, self._later),
            "broken_sessions": part_of(len(self._broken), len(self._sessions)),
        }

    # -- inside ------------------------------------------------------------------------------------

    def _key(self, task: Task) -> str | None:
        """Return the key of a request, as `key=` of a transport would."""
        prompt, key = task.demand.prompt, self._policy.key
        if key == "session":
            return task.demand.session or None
        if key == "prompt" or not prompt:
            return prompt or None
        names = prompt.split("/", key)
        return names[min(key, len(names)) - 1]

    def _home(self, session: str, now: float) -> str | None:
        """Return the endpoint that a request of `session` must go to; None: it may go anywhere."""
        rules = self._policy.sessions
        if self._table is None or rules is None or not session:
            return None
        home = self._table.find((session,), now)
        return None if home is None or (rules.elsewhere and may_leave(self._slots_of(home), rules.elsewhere)) else home

    def _slots_of(self, name: str) -> Account | None:
        try:
            return self._core.ledger.account(name)
        except UnknownEndpoint:
            return None
