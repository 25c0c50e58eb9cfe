"""Model answers: their form, limits and parser.

An answer is not trusted. A bad one costs one attempt and one line in the report.
"""

import json
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

__all__ = ["MOST_ANSWER", "BadAnswer", "ModelAnswer", "ModelProgram", "TargetedInput", "read_answer"]

MOST_ANSWER = 4 * 2**20  # characters
_MOST_SOURCE, _MOST_INPUT, _MOST_COMMAND = 2**16, 2**18, 200
_MOST_INPUTS, _MOST_COMMANDS = 100, 200
_SHOWN = 80  # characters of an answer that an error quotes
_MOST_STARTS = 50  # braces at which the search for JSON starts
_DECODER = json.JSONDecoder()


class BadAnswer(Exception):
    """An answer that cannot be used. The message is the reason, in one line."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", strict=True, hide_input_in_errors=True)


class ModelProgram(_Part):
    """A program that the model wrote."""

    language: Literal["python", "cpp"] = "python"
    source: Annotated[str, Field(min_length=1, max_length=_MOST_SOURCE)]


class TargetedInput(_Part):
    """An input that should show what is wrong with a program that no case has rejected yet."""

    survivor: Annotated[str, Field(max_length=200)]
    input: Annotated[str, Field(min_length=1, max_length=_MOST_INPUT)]


class ModelAnswer(_Part):
    """A model's proposals for one problem in one round.

    Attributes:
        generator: prints one input, chosen by its arguments; None: the one of an earlier round.
        commands: arguments of the generator, a line for each input.
        validator: exits with 42 for a valid input on standard input, else with 43; None: none, or the earlier one.
        checker: for problems with many right outputs. Its arguments are the input, an answer and a folder, and the
            output is on standard input. Exits with 42 if the output is right, else with 43. None: outputs are compared.
        inputs: ready inputs.
        aimed: an input for each survivor.
    """

    generator: ModelProgram | None = None
    commands: Annotated[
        list[Annotated[str, Field(max_length=_MOST_COMMAND)]], Field(default_factory=list, max_length=_MOST_COMMANDS)
    ]
    validator: ModelProgram | None = None
    checker: ModelProgram | None = None
    inputs: Annotated[
        list[Annotated[str, Field(max_length=_MOST_INPUT)]], Field(default_factory=list, max_length=_MOST_INPUTS)
    ]
    aimed: Annotated[list[TargetedInput], Field(default_factory=list, max_length=_MOST_INPUTS)]


def read_answer(text: str | None, *, refusal: str | None = None, cut: bool = False) -> ModelAnswer:
    """Return the answer in `text`.

    Args:
        text: of the model: JSON, alone or among other words.
        refusal: the model's words, if the server says that it refused.
        cut: whether the server says that the answer was cut off.

    Raises:
        BadAnswer: it cannot be used.
    """
    if refusal:
        raise BadAnswer(f"the model refused: {_quoted(refusal)}")
    if not text or not text.strip():
        raise BadAnswer("the answer is too long, and was cut off" if cut else "the answer is empty")
    if len(text) > MOST_ANSWER:
        raise BadAnswer(f"the answer has {len(text)} characters; {MOST_ANSWER} are allowed")
    found = _json_in(text, starts=1 if cut else _MOST_STARTS)  # a cut answer holds only a part of it
    if found is None:
        why = "was cut off before its end" if cut else "holds no JSON object"
        raise BadAnswer(f"the answer {why}: {_quoted(text)}")
    return _checked(found)


def _json_in(text: str, starts: int) -> object | None:
    """Return the longest JSON object in `text`, so that fences, prefaces and braces in prose do no harm."""
    best, length, start = None, 0, -1
    for _ in range(starts):
        start = text.find("{", start + 1)
        if start < 0:
            break
        try:
            found, end = _DECODER.raw_decode(text, start)
        except (ValueError, RecursionError):
            continue
        if end - start > length:
            best, length = found, end - start
        start = end - 1
    return best


def _checked(found: object) -> ModelAnswer:
    try:
        answer = ModelAnswer.model_validate(found)
    except ValidationError as error:
        first, *more = error.errors()
        key = ".".join(map(str, first["loc"])) or "the answer"
        others = f" (and {len(more)} more)" if more else ""
        raise BadAnswer(f"{key}: {first['msg'][:1].lower()}{first['msg'][1:]}{others}"[:300]) from None
    if not (answer.commands or answer.inputs or answer.aimed or answer.generator):
        raise BadAnswer("the answer proposes no input: no commands, no inputs, nothing aimed at a survivor")
    return answer


def _quoted(text: str) -> str:
    words = " ".join(text[: 4 * _SHOWN].split())
    return repr(words if len(words) <= _SHOWN else words[: _SHOWN - 3] + "...")
