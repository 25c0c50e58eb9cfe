"""Model answers: their form, and what of an answer is believed.

Decides the form, and how much of anything there may be. An answer is a stranger's text: whatever it is, it costs one
attempt and one line.
"""

import json
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

__all__ = ["MOST_ANSWER", "BadAnswer", "ModelAnswer", "ModelProgram", "TargetedInput", "answer_schema", "read_answer"]

MOST_ANSWER = 4 * 2**20  # characters
_MOST_SOURCE, _MOST_INPUT, _MOST_COMMAND = 2**16, 2**18, 200
_MOST_INPUTS, _MOST_COMMANDS = 100, 200
_SHOWN = 80  # characters of an answer that an error quotes
_MOST_STARTS = 50  # braces at which JSON may begin
_DECODER = json.JSONDecoder()


class BadAnswer(Exception):
    """An answer that cannot be used, and why, in one line."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", strict=True, hide_input_in_errors=True)


class ModelProgram(_Part):
    """A program of the model's."""

    language: Literal["python", "cpp"] = "python"
    source: Annotated[str, Field(min_length=1, max_length=_MOST_SOURCE)]


class TargetedInput(_Part):
    """An input that is meant to show what is wrong with one program that no case has rejected yet."""

    survivor: Annotated[str, Field(max_length=200)]
    input: Annotated[str, Field(min_length=1, max_length=_MOST_INPUT)]


class ModelAnswer(_Part):
    """What a model proposes for one problem, in one round.

    Attributes:
        generator: prints one input, told by its arguments which; None: the one of an earlier round.
        commands: its arguments, a line for each input.
        validator: exits with 42 for a valid input on standard input, with 43 for another one; None: none, or as before.
        checker: called with the input, an answer and a folder, and an output on standard input: exits with 42 if the
            output is right, with 43 if not; for problems with many right outputs. None: outputs are compared.
        inputs: as they are.
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
    """Return what `text` answers.

    Args:
        text: as the model wrote it: JSON, alone or among other words.
        refusal: its words, where the server tells that it refused.
        cut: True if the server says that the answer ended where it was not meant to.

    Raises:
        BadAnswer: it cannot be used.
    """
    if refusal:
        raise BadAnswer(f"the model refused: {_quoted(refusal)}")
    if not text or not text.strip():
        raise BadAnswer("the answer is too long, and was cut off" if cut else "the answer is empty")
    if len(text) > MOST_ANSWER:
        raise BadAnswer(f"the answer has {len(text)} characters; {MOST_ANSWER} are allowed")
    found = _json_in(text, starts=1 if cut else _MOST_STARTS)  # what a cut answer holds is only a part of it
    if found is None:
        why = "was cut off before its end" if cut else "holds no JSON object"
        raise BadAnswer(f"the answer {why}: {_quoted(text)}")
    return _checked(found)


def _json_in(text: str, starts: int) -> object | None:
    """Return the longest JSON object in `text`, so that a fence, a preface or braces in prose do no harm."""
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


def answer_schema() -> dict[str, Any]:
    """Return the JSON schema of an answer, as servers want it that keep to one: each key needed, no other allowed."""
    schema = ModelAnswer.model_json_schema()
    for table in (schema, *schema.get("$defs", {}).values()):
        table["additionalProperties"] = False
        table["required"] = list(table["properties"])
    plain: dict[str, Any] = _plain(schema)
    return plain


# What servers refuse in a schema that is to be kept to strictly; the answer is checked for all of it here.
_LEFT_OUT = ("default", "title", "minLength", "maxLength", "minItems", "maxItems")


def _plain(schema: Any) -> Any:
    if isinstance(schema, dict):
        return {key: _plain(value) for key, value in schema.items() if key not in _LEFT_OUT}
    return [_plain(value) for value in schema] if isinstance(schema, list) else schema
