"""Rewards of samples, and counts of samples without one.

An unjudged sample gets the reward that the user set, and no other.
"""

import logging
import math
import threading
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Literal, TypeAlias, TypeVar

from balancer.errors import BalancerError
from balancer.judge.fences import is_tag, names_of
from balancer.judge.judge import Judge
from balancer.judge.judged import Job, Judged
from balancer.sandbox.languages.known import known_languages

__all__ = ["RAISE", "Counts", "Scoring", "Unjudged", "Unscored", "completion_text", "known_language"]

RAISE: Literal["raise"] = "raise"
Unjudged: TypeAlias = float | Literal["raise"] | None  # reward of a sample that could not be judged

R = TypeVar("R", bound=Callable[..., Any])

_LOGGER = logging.getLogger("balancer")


class Unscored(BalancerError):
    """A sample could not be judged, and `unjudged` is "raise". Attribute: `note`, the reason."""

    def __init__(self, note: str) -> None:
        super().__init__(f"a sample could not be judged: {note}; to go on, give its reward as unjudged=NUMBER")
        self.note = note


class Counts:
    """Counts of samples: `asked` in all, `unjudged` of them. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.asked = 0
        self.unjudged = 0

    def add(self, asked: int, unjudged: int) -> None:
        """Add to both counts."""
        with self._lock:
            self.asked += asked
            self.unjudged += unjudged

    def __repr__(self) -> str:
        return f"<Counts: {self.unjudged} of {self.asked} unjudged>"


class Scoring:
    """Computes rewards.

    Args:
        unjudged: reward of a sample that could not be judged: a number, None, or "raise".
        partial: True: the reward is the share of accepted cases. False: 1 or 0.
        none_allowed: whether the trainer accepts None as a reward.

    Attributes:
        counts: of all samples so far.

    Raises:
        ValueError: `unjudged` is not allowed.
    """

    def __init__(self, unjudged: Unjudged, *, partial: bool, none_allowed: bool) -> None:
        number = isinstance(unjudged, int | float) and not isinstance(unjudged, bool) and math.isfinite(unjudged)
        if not (number or unjudged == RAISE or (unjudged is None and none_allowed)):
            also = ", or None to leave the sample out" if none_allowed else "; this trainer needs all rewards"
            raise ValueError(f'unjudged is {unjudged!r}; it takes a finite number or "raise"{also}')
        self.unjudged = unjudged
        self.partial = partial
        self.counts = Counts()

    def job(self, text: str, tests: Any, language: str, function: str | None = None) -> Job:
        """Return the job that judges `text`, as `Job.of` does. Without `partial` it stops at the first failed case."""
        return Job.of(text, tests, language=language, function=function, stop_at_first=not self.partial)

    def published(self, reward: R, name: str = "") -> R:
        """Return `reward` with the attribute `counts`. If `name` is given, rename it, for the trainer's log."""
        reward.counts = self.counts  # type: ignore[attr-defined]
        if name:
            reward.__name__ = reward.__qualname__ = name
        return reward

    def reward(self, judged: Judged) -> float | None:
        """Return the reward of one sample.

        Raises:
            Unscored: the sample is unjudged, and `unjudged` is "raise".
        """
        score = judged.share if self.partial else judged.score
        if score is not None:
            return score
        if self.unjudged == RAISE:
            raise Unscored(judged.note or "some of its cases could not be judged")
        return self.unjudged

    def rewards(self, judged: Iterable[Judged]) -> tuple[list[float | None], int]:
        """Return the rewards of a batch, and how many samples are unjudged. Counts and logs them.

        Raises:
            Unscored: as for `reward`.
        """
        each = list(judged)
        missing = [one for one in each if self.is_missing(one)]
        self.counts.add(len(each), len(missing))
        if missing:
            gets = "have no reward" if self.unjudged is None else f"score {self.unjudged}"
            if self.unjudged == RAISE:
                gets = "end with an error"
            _LOGGER.warning(
                "%d of %d samples could not be judged and %s; the last one: %s",
                len(missing), len(each), gets, missing[-1].note or "some of its cases",
            )  # fmt: skip
        return [self.reward(one) for one in each], len(missing)

    def is_missing(self, judged: Judged) -> bool:
        """Return whether there is no result to compute a reward from."""
        return (judged.share if self.partial else judged.score) is None


def known_language(judge: Judge, language: str) -> str:
    """Return `language`. The endpoints are asked for theirs only if it is none of the usual ones.

    Raises:
        ValueError: no endpoint of the judge runs it, or it has another name here.
    """
    names_of(language)
    if not is_tag(language) and language not in known_languages():
        runs = judge.languages
        if runs and language not in runs:
            raise ValueError(f"language is {language!r}, which no endpoint runs; they run: {', '.join(sorted(runs))}")
    return language


def completion_text(completion: Any) -> str:
    """Return the text of a completion: a string, or the last message of the assistant in a conversation.

    Later messages, e.g. from a tool, do not count.

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
        if isinstance(content, Sequence):  # content blocks of multimodal models
            return "".join(each.get("text") or "" for each in content if isinstance(each, dict))
    if isinstance(completion, Sequence) and not completion:
        return ""
    raise TypeError(f"a completion is a {type(completion).__name__}; it takes a text, or a list of messages")
