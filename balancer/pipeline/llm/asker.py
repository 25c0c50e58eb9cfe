"""Asker: asks the model until it has a usable answer, or the budget or the attempts are used up.

Decides when a question is repeated, that no answer is asked for twice, and whether the budget allows a call.

Prompts are files that a user may replace. Their version is a hash, so that an answer is never used for another
question.
"""

import hashlib
import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from jinja2 import StrictUndefined, TemplateError, meta
from jinja2.sandbox import ImmutableSandboxedEnvironment

from balancer.errors import ConfigError
from balancer.pipeline.llm.answer import MOST_ANSWER, BadAnswer, ModelAnswer, read_answer
from balancer.pipeline.llm.client import Declined, ModelServers, most_tokens
from balancer.pipeline.results.records import Answers, ModelUsage, StoredAnswer
from balancer.settings.llm import LlmBudget, LlmSettings

__all__ = ["AskResult", "Asker", "ModelAccount", "NoBudget", "Prompts"]

_COMMON = frozenset({"name", "statement", "time_limit_s", "most"})
_FACTS = {
    "system.md": frozenset[str](),
    "propose.md": _COMMON | {"examples", "reference", "many_answers"},
    "refine.md": _COMMON | {"round", "cases", "failed", "disagreed", "refused", "complaints", "survivors"},
}
_ATTEMPTS = 3  # for a usable answer
_MOST_REPEATED = 2000  # characters of a bad answer that the model is shown again


class Prompts:
    """The files of a question: `system.md`, `propose.md` for the first round, `refine.md` for each later one.

    Args:
        folder: its files replace ours of the same name; None: ours.

    Attributes:
        version: 12 hex digits; it changes with the text.

    Raises:
        ConfigError: the folder is missing, or a file in it is not a valid template, or uses unknown variables.
    """

    def __init__(self, folder: str | None) -> None:
        texts = {name: _text(name, folder) for name in _FACTS}
        self.version = hashlib.sha256("\0".join(texts.values()).encode()).hexdigest()[:12]
        # Data is inserted as text, never as a template. Templates may come from anywhere, so they get no Python.
        environment = ImmutableSandboxedEnvironment(
            undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, autoescape=False
        )
        self._templates = {}
        for name, text in texts.items():
            try:
                self._templates[name] = environment.from_string(text)
                unknown = meta.find_undeclared_variables(environment.parse(text)) - _FACTS[name]
            except TemplateError as error:
                raise ConfigError(f"llm.prompts: {folder}/{name}: {error}") from None
            if unknown:
                known = ", ".join(sorted(_FACTS[name])) or "none"
                raise ConfigError(f"llm.prompts: {folder}/{name}: unknown {min(unknown)!r} (known: {known})")

    def render(self, file: str, /, **facts: Any) -> str:
        """Return the text of one of the files. Raises ConfigError."""
        try:
            return self._templates[file].render(facts)
        except (TemplateError, ArithmeticError, LookupError, TypeError, ValueError) as error:
            raise ConfigError(f"llm.prompts: {file}: {error}") from None


def _text(name: str, folder: str | None) -> str:
    if folder is not None:
        place = Path(folder)
        if not place.is_dir():
            raise ConfigError(f"llm.prompts: {folder}: no such folder; name one with {', '.join(_FACTS)}")
        if (place / name).exists():
            try:
                return (place / name).read_text(encoding="utf-8")
            except (OSError, UnicodeDecodeError) as error:
                why = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
                raise ConfigError(f"llm.prompts: {place / name} cannot be read: {why}") from None
    return (resources.files(__package__) / "prompts" / name).read_text(encoding="utf-8")


class NoBudget(Exception):
    """The budget does not allow another call. The message names the cap."""


class ModelAccount:
    """Tokens of each row, used and reserved. Thread-safe.

    What a call uses is not known before. So it reserves the most that it can use, and frees the rest when it ends.

    Args:
        budget: the caps.
        before: row -> its use in earlier sessions of the run.
    """

    def __init__(self, budget: LlmBudget, before: Mapping[str, ModelUsage] | None = None) -> None:
        self._budget = budget
        self._changed = threading.Condition()
        self._used = Counter({row: each.tokens for row, each in (before or {}).items()})
        self._reserved: Counter[str] = Counter()

    @contextmanager
    def reserve(self, row: str, most: int) -> Iterator[Callable[[int], None]]:
        """Reserve the most tokens of a call. Yield a function that books what it used.

        A call that fits only without those under way waits for them.

        Raises:
            NoBudget: a cap does not allow it.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._fits(row, most))
            self._reserved[row] += most
        booked: list[int] = []
        try:
            yield booked.append
        finally:
            with self._changed:
                self._reserved[row] -= most
                self._used[row] += sum(booked)
                self._changed.notify_all()

    def _fits(self, row: str, most: int) -> bool:
        """Return whether a call fits with those under way. Raises NoBudget if it never will."""
        fits = True
        for name, cap, used, reserved in (
            ("row_tokens", self._budget.row_tokens, self._used[row], self._reserved[row]),
            ("tokens", self._budget.tokens, self._used.total(), self._reserved.total()),
        ):
            if cap is not None:
                if used + most > cap:
                    raise NoBudget(f"[llm.budget] {name} = {cap} allows no more questions")
                fits = fits and used + most + reserved <= cap
        return fits


@dataclass(frozen=True, slots=True)
class AskResult:
    """The result of a question: an answer or None, and a line for each failed attempt."""

    answer: ModelAnswer | None
    lines: tuple[str, ...] = ()


class Asker:
    """Asks the model. Thread-safe.

    Args:
        settings: `[llm]`.
        servers: of the model.
        account: counts the use.
        memory: answers so far.
        prompts: of the questions.
        clock: seconds.
    """

    def __init__(
        self,
        settings: LlmSettings,
        servers: ModelServers,
        account: ModelAccount,
        memory: Answers,
        prompts: Prompts,
        clock: Callable[[], float],
    ) -> None:
        self._settings = settings
        self._servers = servers
        self._account = account
        self._memory = memory
        self._prompts = prompts
        self._clock = clock

    def ask(
        self,
        row: str,
        round: int,
        question: str,
        objection: Callable[[ModelAnswer], str] = lambda answer: "",
        pause: Callable[[float], object] = time.sleep,
    ) -> AskResult:
        """Return the model's answer to `question`.

        Args:
            row, round: for the budget and the records.
            question: the text.
            objection: returns what is wrong with an answer, in one line, or "". The model is shown it.
            pause: waits so many seconds between tries; its errors end the call.

        Raises:
            NotAnswered: no server answered, for a reason outside the question.
        """
        messages = [_said("system", self._prompts.render("system.md")), _said("user", question)]
        lines: list[str] = []
        last: ModelAnswer | None = None
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                stored = self._answer(row, round, attempt, messages, pause)
            except (NoBudget, Declined) as error:
                return AskResult(last, (*lines, f"round {round}: the model was not asked: {error}"))
            try:
                answer = read_answer(stored.text, refusal=stored.refusal, cut=stored.cut)
            except BadAnswer as error:
                why = str(error)
            else:
                last = answer
                why = objection(answer)
            if not why:
                return AskResult(last, tuple(lines))
            lines.append(f"round {round}, attempt {attempt}: {why}")
            messages += [
                _said("assistant", (stored.text or "")[:_MOST_REPEATED]),
                _said("user", f"That cannot be used: {why}. Answer again, in full, with one JSON object."),
            ]
        return AskResult(last, tuple(lines))

    def _answer(
        self,
        row: str,
        round: int,
        attempt: int,
        messages: list[dict[str, str]],
        pause: Callable[[float], object],
    ) -> StoredAnswer:
        settings, version = self._settings, self._prompts.version
        # Without the words in between: they follow from the question, except for the output of a sandbox.
        asked = json.dumps([settings.model, version, row, round, attempt, messages[:2]])
        key = hashlib.sha256(asked.encode()).hexdigest()
        stored = self._memory.recall(key)
        if stored is not None:
            return stored
        with self._account.reserve(row, most_tokens(messages) + settings.max_output_tokens) as book:
            began_s = self._clock()
            reply = self._servers.ask(messages, pause)
            used = ModelUsage(1, reply.asked, reply.answered, self._clock() - began_s)
            book(used.tokens)
            text = reply.text and reply.text[: MOST_ANSWER + 1]
            stored = StoredAnswer(settings.model, version, text, reply.refusal, reply.cut, used)
            self._memory.remember(key, row, round, attempt, stored)
        return stored


def _said(role: str, content: str) -> dict[str, str]:
    return {"role": role, "content": content}
