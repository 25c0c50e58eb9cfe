"""Ask the model until there is an answer that can be used, or the budget or the attempts are spent.

Decides when a question is asked again, and that no answer is asked for twice. It must not know what becomes of an
answer, nor which server gives it.
"""

import hashlib
import json
import time
from collections.abc import Callable
from dataclasses import dataclass

from balancer.pipeline.llm.answer import MOST_ANSWER, BadAnswer, ModelAnswer, read_answer
from balancer.pipeline.llm.client import Declined, most_tokens
from balancer.pipeline.llm.prompts import Prompts
from balancer.pipeline.llm.servers import ModelServers
from balancer.pipeline.proposing.budget import ModelAccount, NoBudget
from balancer.pipeline.proposing.toolbox import AnswerStore, StoredAnswer
from balancer.settings.llm import LlmSettings

__all__ = ["AskResult", "Asker"]

_MOST_REPEATED = 2000  # characters of a bad answer that the model is shown again


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
