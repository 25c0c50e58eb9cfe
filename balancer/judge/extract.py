"""Code extraction: the program in what a model wrote.

Decides which part of a completion is the program. Pure, and linear in its length. The rules, in order:

1. What the model thought does not count: everything up to the last `</think>` (or a tag like it) is left out, and so is
   what follows such a tag that was never closed. A tag in quotes is none.
2. If it says which part is its answer, `<answer>` or `<solution>`, and a program is there, nothing else counts.
3. The last block that is tagged with the language, or with one of its other names, is the program.
4. Without one, it is the last block without a tag that looks like a program; or what stands before the first fence, if
   one is open (the prompt may have opened a block); or the last block without a tag; or the last one with a tag that is
   no language, if it looks like a program.
5. Without any, it is what looks like a program in the text; see `unfenced`.

So the last attempt counts, as a reader would take it, and a block in another language never does. What is a block is
decided in `fences`. One that was never closed, because the completion was cut off, counts like any other.
"""

import re
from collections.abc import Iterator
from textwrap import dedent
from typing import Final

from balancer.judge.fences import FencedBlock, blocks_of
from balancer.judge.tags import is_tag, names_of
from balancer.judge.unfenced import bare_code, does_something
from balancer.program import Program

__all__ = ["code_in", "program_in"]

_TAGS: Final = "think|thinking|thought|reasoning"


def _unquoted(tag: str) -> str:
    return rf"(?<![\"'`]){tag}|{tag}(?![\"'`])"


_THOUGHT: Final = re.compile(_unquoted(rf"(?:</(?:{_TAGS})>|\[/THINK\]|<\|end_of_thought\|>)"), re.IGNORECASE)
_THINKING: Final = re.compile(_unquoted(rf"(?:<(?:{_TAGS})>|\[THINK\]|<\|begin_of_thought\|>)"), re.IGNORECASE)
_ANSWERS: Final = "answer|final_answer|solution"
_ANSWER: Final = re.compile(
    _unquoted(rf"(?:<(?:{_ANSWERS})>|\[PYTHON\]|<\|begin_of_solution\|>|^[ \t]*<(?:code|python|program)>[ \t]*$)"),
    re.IGNORECASE | re.MULTILINE,
)
_ANSWERED: Final = re.compile(
    rf"</(?:{_ANSWERS}|code|python|program)>|\[/PYTHON\]|<\|end_of_solution\|>", re.IGNORECASE
)
_OVER: Final = re.compile(
    r"(?:\s*(?:<[|\uff5c][^|\uff5c<>\n]{1,40}[|\uff5c]>|</s>))+\s*\Z"
)  # what ends a text for a model
_NEUTRAL: Final = ("text", "txt", "plaintext", "plain")
_END = 400  # characters in which that is looked for
_UNFINISHED: Final = re.compile(r"\n[ \t]*(?:`{1,2}|</?[\w|]*)?[ \t]*\Z")  # a fence, or a tag, that was cut off


def code_in(completion: str, language: str = "python") -> str | None:
    """Return the program in `completion`; None if there is none.

    Args:
        completion: what the model wrote.
        language: which the program is written in; others do not count.
    """
    text = _said(completion)
    names = names_of(language)
    blocks = blocks_of(text, names)
    answer = _answer(text, blocks)
    if answer is not None:
        begin, end = answer
        inside = [block for block in blocks if begin <= block.start < end]
        found = _chosen(text, begin, end, inside, names, language)
        if found is not None:
            return found
    return _chosen(text, 0, len(text), blocks, names, language)


def program_in(completion: str, language: str = "python", name: str = "") -> Program | None:
    """Return the program in `completion` as one to be run; None if there is none. See `code_in`."""
    code = code_in(completion, language)
    return None if code is None else Program(language, code, name)


def _said(completion: str) -> str:
    """Return what is left without what the model thought, with the ends of lines that are ours."""
    text = completion.replace("\r\n", "\n").replace("\r", "\n").lstrip("\ufeff")
    at = 0
    for match in _THOUGHT.finditer(text):
        at = match.end()
    text = text[at:]
    open_ = _THINKING.search(text)
    text = text[: open_.start()] if open_ is not None else text
    over = _OVER.search(text, max(0, len(text) - _END))
    return text[: over.start()] + "\n" if over is not None else text


def _answer(text: str, blocks: list[FencedBlock]) -> tuple[int, int] | None:
    """Return where the last answer is that the text says it gives; tags within a block are code."""
    begin = max((match.end() for match in _outside(_ANSWER, text, blocks)), default=None)
    if begin is None:
        return None
    ends = (match.start() for match in _outside(_ANSWERED, text, blocks) if match.start() >= begin)
    return begin, next(ends, len(text))


def _outside(tags: re.Pattern[str], text: str, blocks: list[FencedBlock]) -> Iterator[re.Match[str]]:
    """Yield the matches that are in no block that was closed."""
    spans = iter([(block.start, block.end) for block in blocks if block.closed])
    span = next(spans, None)
    for match in tags.finditer(text):
        while span is not None and span[1] <= match.start():
            span = next(spans, None)
        if span is None or match.start() < span[0]:
            yield match


def _chosen(
    text: str, begin: int, end: int, blocks: list[FencedBlock], names: tuple[str, ...], language: str
) -> str | None:
    full = [(block, _tidy(block, language)) for block in blocks]
    full = [(block, code) for block, code in full if code.strip()]
    tagged = [code for block, code in full if block.tag in names]
    if tagged:
        return tagged[-1]
    plain = [(block, code) for block, code in full if not block.tag]
    likely = [code for block, code in plain if does_something(code, language)]
    if likely:
        return likely[-1]
    if any(not block.closed for block in blocks):
        before = bare_code(text[begin : blocks[0].start], language)
        if before is not None:
            return before
    whole = [code for block, code in plain if not block.inline]
    if whole:
        return whole[-1]
    named = [code for block, code in full if block.tag in _NEUTRAL or (block.tag and not is_tag(block.tag))]
    named = [code for code in named if does_something(code, language)]
    if named:
        return named[-1]
    if any(block.code.strip() for block in blocks):
        return None
    return bare_code(text[begin:end], language)


def _tidy(block: FencedBlock, language: str) -> str:
    """Return the code of a block, without what is no part of it."""
    code = block.code
    if not block.closed:
        cut = _ANSWERED.search(code)
        code = code[: cut.start()] if cut is not None else code
        code = code[:-_END] + _UNFINISHED.sub("\n", code[-_END:])
    indented = code.lstrip("\n")[:1].isspace()
    return dedent(code) if indented and language in ("python", "pypy") else code
