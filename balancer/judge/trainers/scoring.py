"""Rewards: from what is known of a program to a number, and how many have none.

Decides what an unjudged sample scores: what its user said, and nothing else.
"""

import logging
import math
import threading
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Literal, TypeAlias, TypeVar

from balancer.errors import BalancerError
from balancer.judge.judged import Job, Judged

__all__ = ["RAISE", "Counts", "Scoring", "Unjudged", "Unscored", "completion_text"]

RAISE: Literal["raise"] = "raise"
Unjudged: TypeAlias = float | Literal["raise"] | None  # what a sample scores that could not be judged

R = TypeVar("R", bound=Callable[..., Any])

_LOGGER = logging.getLogger("balancer")


class Unscored(BalancerError):
    """A sample could not be judged, and whoever asked wants to hear of it so. Field: `note`, why."""

    def __init__(self, note: str) -> None:
        super().__init__(f"a sample could not be judged: {note}; give unjudged=NUMBER to go on with that as its reward")
        self.note = note


class Counts:
    """How many samples a reward function was asked for, and how many of them could not be judged. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.asked = 0
        self.unjudged = 0

    def add(self, asked: int, unjudged: int) -> None:
        """Count some more."""
        with self._lock:
            self.asked += asked
            self.unjudged += unjudged

    def __repr__(self) -> str:
        return f"<Counts: {self.unjudged} of {self.asked} unjudged>"


class Scoring:
    """Rewards.

    Args:
        unjudged: what a sample scores that could not be judged: a number, None, or "raise".
        partial: whether the reward is the part of the cases that is accepted, not only 1 or 0.
        none_allowed: whether the trainer knows what it is that a sample has no reward.

    Attributes:
        counts: of all that was scored.

    Raises:
        ValueError: `unjudged` is none of what is allowed.
    """

    def __init__(self, unjudged: Unjudged, *, partial: bool, none_allowed: bool) -> None:
        number = isinstance(unjudged, int | float) and not isinstance(unjudged, bool) and math.isfinite(unjudged)
        if not (number or unjudged == RAISE or (unjudged is None and none_allowed)):
            also = ", or None to leave the sample out" if none_allowed else "; this trainer knows no missing reward"
            raise ValueError(f'unjudged is {unjudged!r}; it takes a finite number or "raise"{also}')
        self.unjudged = unjudged
        self.partial = partial
        self.counts = Counts()

    def job(self, text: str, tests: Any, language: str, function: str | None = None) -> Job:
        """Return the job of judging `text`, as `Job.of` does; where a part counts for nothing it stops at the first."""
        return Job.of(text, tests, language=language, function=function, stop_at_first=not self.partial)

    def published(self, reward: R, name: str = "") -> R:
        """Return `reward` with the attribute `counts`; called `name`, where a trainer logs it by that."""
        reward.counts = self.counts  # type: ignore[attr-defined]
        if name:
            reward.__name__ = reward.__qualname__ = name
        return reward

    def reward(self, judged: Judged) -> float | None:
        """Return the reward of one sample.

        Raises:
            Unscored: it is not judged, and that is to be raised.
        """
        score = judged.share if self.partial else judged.score
        if score is not None:
            return score
        if self.unjudged == RAISE:
            raise Unscored(judged.note or "not all of its cases could be judged")
        return self.unjudged

    def rewards(self, judged: Iterable[Judged]) -> tuple[list[float | None], int]:
        """Return the rewards of a batch, and how many of it are unjudged; these are counted and logged."""
        each = list(judged)
        missing = [one for one in each if self.is_missing(one)]
        self.counts.add(len(each), len(missing))
        if missing:
            gets = "have no reward" if self.unjudged is None else f"score {self.unjudged}"
            _LOGGER.warning(
                "%d of %d samples could not be judged, and %s; the last one: %s",
                len(missing), len(each), gets, missing[-1].note or "some of its cases",
            )  # fmt: skip
        return [self.reward(one) for one in each], len(missing)

    def is_missing(self, judged: Judged) -> bool:
        """Return whether nothing is known that would make a reward."""
        return (judged.share if self.partial else judged.score) is None


def completion_text(completion: Any) -> str:
    """Return the text of a completion: a string, or the last of the assistant's messages in a conversation.

    What a tool answered after that is not what the model wrote.

    Raises:
        TypeError: it is something else.
    """
    if isinstance(completion, str):
        return completion
    if isinstance(completion, Sequence) and completion and isinstance(completion[-1], dict):
        own: list[dict[str, Any]] = [each for each in completion if each.get("role", "assistant") == "assistant"]
        content = own[-1].get("content") or "" if own else ""
        if isinstance(content, str):
            return content
        if isinstance(content, Sequence):  # blocks, as of models that see
            return "".join(each.get("text") or "" for each in content if isinstance(each, dict))
    if isinstance(completion, Sequence) and not completion:
        return ""
    raise TypeError(f"a completion is a {type(completion).__name__}; it takes a text, or a list of messages")
