"""Scripted model: answers from files. For trials without a model.

It finds the answer by the problem and the round in the question.

A folder of answers has a folder for each problem, with a file `rounds.toml`. The file has a table `[[rounds]]` for each
round, with `commands`, `inputs` and `aimed` as in an answer. Its table `[programs]` names the files, in Python, of the
generator, the validator and the checker, which come with the first answer.
"""

import json
import re
import tomllib
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from balancer.errors import ConfigError
from balancer.pipeline.llm.client import ModelReply

__all__ = ["ScriptedModel", "answer_to"]

_PROBLEM = re.compile(r"^# The problem: (.+)$", re.MULTILINE)
_ROUND = re.compile(r"^## What your inputs did \(round (\d+)\)$", re.MULTILINE)


class ScriptedModel:
    """Answers from the files of a folder. Thread-safe.

    Raises:
        ConfigError: the folder is missing.
    """

    def __init__(self, folder: Path) -> None:
        if not folder.is_dir():
            raise ConfigError(
                f"llm.scripted: {folder}: no such folder; name one with a folder of answers for each problem"
            )
        self._folder = folder

    def ask(self, messages: list[dict[str, str]]) -> ModelReply:
        """Return the answer to the first question of `messages`."""
        question = next(each["content"] for each in messages if each["role"] == "user")
        text = json.dumps(answer_to(question, self._folder))
        return ModelReply(text, None, False, len(question) // 4, len(text) // 4)


def answer_to(question: str, folder: Path) -> dict[str, Any]:
    """Return the answer to `question`; without inputs if there is none for its problem and round."""
    problem, round = _PROBLEM.search(question), _ROUND.search(question)
    number = int(round[1]) if round else 0
    answers = _answers(folder / problem[1].strip()) if problem else ()
    return dict(answers[number]) if number < len(answers) else {"inputs": []}


@lru_cache(maxsize=256)
def _answers(home: Path) -> tuple[Mapping[str, Any], ...]:
    try:
        script = tomllib.loads((home / "rounds.toml").read_text(encoding="utf-8"))
    except FileNotFoundError:
        return ()
    programs = {
        name: {"language": "python", "source": (home / file).read_text(encoding="utf-8")}
        for name, file in script.get("programs", {}).items()
    }
    first, *later = script["rounds"]
    return ({**first, **programs}, *later)
