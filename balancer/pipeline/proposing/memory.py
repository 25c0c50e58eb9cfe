"""Answer store: an answer as it is kept, and where."""

from dataclasses import dataclass
from typing import Protocol

from balancer.pipeline.proposing.budget import TokenUsage

__all__ = ["AnswerStore", "StoredAnswer"]


@dataclass(frozen=True, slots=True)
class StoredAnswer:
    """An answer as it is kept: what was said, by which model to which version of the prompts, and what it took."""

    model: str
    prompts: str
    text: str | None
    refusal: str | None
    cut: bool
    used: TokenUsage


class AnswerStore(Protocol):
    """Where answers are kept, so that a run that was killed does not pay twice."""

    def recall(self, key: str) -> StoredAnswer | None:
        """Return the answer that is kept under `key`."""
        ...

    def remember(self, key: str, row: str, round: int, attempt: int, answer: StoredAnswer) -> None:
        """Keep an answer; it is durable when this returns."""
        ...
