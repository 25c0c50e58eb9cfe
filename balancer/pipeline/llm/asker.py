"""Ask the model until there is an answer that can be used, or the budget or the attempts are spent.

Decides when a question is asked again, and that no answer is asked for twice.

Prompts: what a model is asked, from files that a user may replace. Decides which file is which part of a question, and
the version of a set of files: a hash, so that an answer is never taken for one to another question.
"""

import hashlib
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from jinja2 import StrictUndefined, TemplateError, meta
from jinja2.sandbox import ImmutableSandboxedEnvironment

from balancer.errors import ConfigError
from balancer.pipeline.llm.answer import MOST_ANSWER, BadAnswer, ModelAnswer, read_answer
from balancer.pipeline.llm.client import Declined, ModelServers, most_tokens
from balancer.pipeline.proposing import AnswerStore, ModelAccount, NoBudget, StoredAnswer
from balancer.settings.llm import LlmSettings

__all__ = ["AskResult", "Asker", "Prompts"]

_COMMON = frozenset({"name", "statement", "time_limit_s", "most"})
_FACTS = {
    "system.md": frozenset[str](),
    "propose.md": _COMMON | {"examples", "reference", "many_answers"},
    "refine.md": _COMMON | {"round", "cases", "failed", "disagreed", "refused", "complaints", "survivors"},
}
_MOST_REPEATED = 2000  # characters of a bad answer that the model is shown again


class Prompts:
    """The files of a question: `system.md`, `propose.md` for the first round, `refine.md` for each later one.

    Args:
        folder: files in it take the place of ours of the same name; None: ours.

    Attributes:
        version: 12 hex digits; another text is another version.

    Raises:
        ConfigError: the folder is not there, or a file of it is no template, or asks for what there is not.
    """

    def __init__(self, folder: str | None) -> None:
        texts = {name: _text(name, folder) for name in _FACTS}
        self.version = hashlib.sha256("\0".join(texts.values()).encode()).hexdigest()[:12]
        # Data goes in as text and is never a template itself; a template may come from anywhere, so it gets no Python.
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
                raise ConfigError(f"llm.prompts: {folder}/{name}: there is no {min(unknown)!r} (there are: {known})")

    def system(self) -> str:
        """Return what a model is told about its task."""
        return self._render("system.md", {})

    def propose(self, **facts: Any) -> str:
        """Return the question of the first round."""
        return self._render("propose.md", facts)

    def refine(self, **facts: Any) -> str:
        """Return the question of a later round."""
        return self._render("refine.md", facts)

    def _render(self, name: str, facts: dict[str, Any]) -> str:
        try:
            return self._templates[name].render(facts)
        except (TemplateError, ArithmeticError, LookupError, TypeError, ValueError) as error:
            raise ConfigError(f"llm.prompts: {name}: {error}") from None


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


@dataclass(frozen=True, slots=True)
class AskResult:
    """What came of a question: an answer, or None; and a line for each attempt that was no use."""

    answer: ModelAnswer | None
    lines: tuple[str, ...] = ()


class Asker:
    """Asks the model. Thread-safe.

    Args:
        settings: `[llm]`.
        servers: who answers.
        account: what has been used.
        memory: answers so far.
        prompts: what is asked.
        clock: seconds.
    """

    def __init__(
        self,
        settings: LlmSettings,
        servers: ModelServers,
        account: ModelAccount,
        memory: AnswerStore,
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
        """Return what the model answers to `question`.

        Args:
            row, round: what it is about; for the budget and the records.
            question: what is asked.
            objection: what is wrong with an answer of the right form, in one line; "": nothing. The model is told.
            pause: waits so many seconds, between tries; what it raises ends the call.

        Raises:
            NotAnswered: no server answered, for no fault of the question's.
        """
        messages = [_said("system", self._prompts.system()), _said("user", question)]
        lines: list[str] = []
        last: ModelAnswer | None = None
        for attempt in range(1, self._settings.attempts + 1):
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
        # Not what was said in between: it follows from the question, but for the words of a sandbox.
        asked = json.dumps([settings.model, version, row, round, attempt, messages[:2]])
        key = hashlib.sha256(asked.encode()).hexdigest()
        stored = self._memory.recall(key)
        if stored is not None:
            return stored
        with self._account.reserve(row, most_tokens(messages), settings.max_output_tokens) as reserved:
            began_s = self._clock()
            try:
                reply = self._servers.ask(messages, pause)
            except BaseException:
                reserved.settle(0, 0, self._clock() - began_s)
                raise
            used = reserved.settle(reply.asked, reply.answered, self._clock() - began_s)
            text = reply.text and reply.text[: MOST_ANSWER + 1]
            stored = StoredAnswer(settings.model, version, text, reply.refusal, reply.cut, used)
            self._memory.remember(key, row, round, attempt, stored)
        return stored


def _said(role: str, content: str) -> dict[str, str]:
    return {"role": role, "content": content}
