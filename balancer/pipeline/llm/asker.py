"""Ask the model until there is an answer that can be used, or the budget or the attempts are spent.

Decides when a question is asked again, and that no answer is asked for twice. It must not know what becomes of an
answer, nor which server gives it.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from balancer.endpoint import Lease
from balancer.errors import BalancerError
from balancer.pipeline.llm.answer import MOST_ANSWER, Answer, BadAnswer, read_answer
from balancer.pipeline.llm.budget import Account, NoBudget
from balancer.pipeline.llm.client import ModelClient, Reply
from balancer.pipeline.llm.memory import Memory, StoredAnswer
from balancer.pipeline.llm.prompts import Prompts
from balancer.settings.llm import LlmSettings
from balancer.shells.threads import Pool

__all__ = ["Asked", "Asker"]

_TRIES = 5  # servers that are tried for one answer
_CHARACTERS = 3  # at least so many are a token: what a question may use is never set aside too low


@dataclass(frozen=True, slots=True)
class Asked:
    """What came of a question: an answer, or None; and a line for each attempt that was no use."""

    answer: Answer | None
    lines: tuple[str, ...] = ()


class Asker:
    """Asks the model. Thread-safe.

    Args:
        settings: `[llm]`.
        pool: of the servers.
        clients: one for each, by the name of its endpoint.
        account: what has been used.
        memory: answers so far.
        prompts: what is asked.
        clock: seconds.
    """

    def __init__(
        self,
        settings: LlmSettings,
        pool: Pool,
        clients: Mapping[str, ModelClient],
        account: Account,
        memory: Memory,
        prompts: Prompts,
        clock: Callable[[], float],
    ) -> None:
        self._settings = settings
        self._pool = pool
        self._clients = clients
        self._account = account
        self._memory = memory
        self._prompts = prompts
        self._clock = clock

    def ask(self, row: str, round: int, question: str, objection: Callable[[Answer], str] = lambda answer: "") -> Asked:
        """Return what the model answers to `question`.

        Args:
            row, round: what it is about; for the budget and the records.
            objection: what is wrong with an answer of the right form, in one line; "": nothing. The model is told.
        """
        messages = [_said("system", self._prompts.system()), _said("user", question)]
        lines: list[str] = []
        last: Answer | None = None
        for attempt in range(1, self._settings.attempts + 1):
            try:
                stored = self._answer(row, round, attempt, messages)
                last = read_answer(stored.text, refusal=stored.refusal, cut=stored.cut)
                why = objection(last)
            except BadAnswer as error:
                why = str(error)
            except (NoBudget, BalancerError) as error:
                return Asked(last, (*lines, f"round {round}: the model was not asked: {error}"))
            except Exception as error:  # what the client library raises for an answer of the server's that is final
                return Asked(last, (*lines, f"round {round}: the model was not asked: {_words(error)}"))
            if not why:
                return Asked(last, tuple(lines))
            lines.append(f"round {round}, attempt {attempt}: {why}")
            messages += [
                _said("assistant", (stored.text or "")[:2000]),
                _said("user", f"That cannot be used: {why}. Answer again, in full, with one JSON object."),
            ]
        return Asked(last, tuple(lines))

    def _answer(self, row: str, round: int, attempt: int, messages: list[dict[str, str]]) -> StoredAnswer:
        key = hashlib.sha256(
            json.dumps([self._settings.model, self._prompts.version, row, attempt, messages]).encode()
        ).hexdigest()
        stored = self._memory.recall(key)
        if stored is not None:
            return stored
        settings = self._settings
        asked = sum(len(each["content"]) for each in messages) // _CHARACTERS + 16
        with self._account.reserve(row, asked, settings.max_output_tokens, settings.timeout_s) as reserved:
            began_s = self._clock()
            reply = self._pool.call(lambda lease: self._ask(lease, messages), attempts=_TRIES)
            used = reserved.settle(reply.asked, reply.answered, self._clock() - began_s)
            text = reply.text if reply.text is None or len(reply.text) <= MOST_ANSWER else reply.text[: MOST_ANSWER + 1]
            stored = StoredAnswer(settings.model, self._prompts.version, text, reply.refusal, reply.cut, used)
            self._memory.remember(key, row, round, attempt, stored)
        return stored

    def _ask(self, lease: Lease, messages: list[dict[str, str]]) -> Reply:
        return self._clients[lease.endpoint.name].ask(messages)


def _said(role: str, content: str) -> dict[str, str]:
    return {"role": role, "content": content}


def _words(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())[:160]}"
