"""Conversations: who asks again after an answer, with a longer prompt.

All that a conversation says is drawn when it begins, so it is the same under every strategy.
"""

from collections import deque
from dataclasses import replace

import numpy as np
from simpy import Environment

from balancer_simulator.scenario.scenario import Scenario
from balancer_simulator.scenario.workload import Conversations
from balancer_simulator.world.calendar import after
from balancer_simulator.world.sources import Submit, TaskSource, durations, mixture, numbers_of
from balancer_simulator.world.streams import Purpose, Streams, endless
from balancer_simulator.world.task import Demand, Task, Worker

__all__ = ["ConversationSource"]


class _Conversation(Worker):
    """One conversation: the blocks said so far, and the turns to come."""

    __slots__ = ("blocks", "turns")

    def __init__(self, index: int, system: list[str]) -> None:
        super().__init__("conversations", index)
        self.blocks = system
        self.turns: deque[tuple[Demand, float, int, float]] = deque()
        """Of each: its kind, its work, the blocks that it adds, and the seconds before it."""


class ConversationSource(TaskSource):
    """Conversations begin at random; each turn comes after the answer to the one before, or after its loss."""

    def __init__(
        self, env: Environment, scenario: Scenario, workload: Conversations, streams: Streams, submit: Submit
    ) -> None:
        super().__init__(env, submit)
        self._system_blocks = workload.system_blocks
        arrivals, prompts = (streams.numbers(purpose) for purpose in (Purpose.ARRIVALS, Purpose.PROMPTS))
        rate = workload.conversations_per_s
        self._gaps_s = endless(lambda count: arrivals.exponential(1 / rate, count))
        weights = np.arange(1, workload.systems + 1) ** -1.0
        shares = np.cumsum(weights) / np.sum(weights)
        self._systems = endless(
            lambda count: np.searchsorted(shares[:-1], prompts.random(count), "right").astype(float)
        )
        self._turns = numbers_of(workload.turns, streams.numbers(Purpose.TURNS))
        self._adds = numbers_of(workload.adds, streams.numbers(Purpose.PROMPTS, 1))
        self._thinks = durations(workload.think, streams.numbers(Purpose.THINK))
        self._mixture = mixture(scenario, streams)
        self._begun = 0

    def begin(self) -> None:
        """Schedule the next conversation."""
        after(self._env, next(self._gaps_s), ConversationSource._begin_one, self)

    def conclude(self, task: Task) -> None:
        """Let the next turn come, if there is one."""
        worker = task.worker
        assert isinstance(worker, _Conversation), "all tasks are of conversations"
        if worker.turns:
            after(self._env, worker.turns[0][3], self._ask, worker)

    def _begin_one(self) -> None:
        self.begin()
        system = next(self._systems)
        talk = _Conversation(self._begun, [f"s{system:.0f}.{block}" for block in range(self._system_blocks)])
        self._begun += 1
        for _ in range(next(self._turns)):
            demand, work_s = next(self._mixture)
            talk.turns.append((demand, work_s, next(self._adds), next(self._thinks)))
        self._ask(talk)

    def _ask(self, talk: _Conversation) -> None:
        demand, work_s, adds, _ = talk.turns.popleft()
        talk.blocks += [f"{talk.index}.{len(talk.blocks) + new}" for new in range(adds)]
        self._come(replace(demand, prompt="/".join(talk.blocks), session=str(talk.index)), work_s, talk)
