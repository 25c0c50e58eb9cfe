"""Code extraction: the program in what a model wrote.

Decides which part of a completion is the program. Pure, and linear in its length. The rules, in order:

1. What the model thought does not count: everything up to the last `</think>` (or a tag like it) is left out, and so is
   what follows such a tag that was never closed. A tag in quotes is none.
2. If it says which part is its answer, `<answer>` or `<solution>`, and a program is there, nothing else counts.
3. The last block that is tagged with the language, or with one of its other names, is the program.
4. Without one, it is the last block without a tag that looks like a program; or what stands before the first fence, if
   one is open (the prompt may have opened a block); or the last block without a tag; or the last one with a tag that is
   no language, if it looks like a program.
5. Without any, it is what looks like a program in the text.

So the last attempt counts, as a reader would take it, and a block in another language never does. What is a block is
decided in `fences`. One that was never closed, because the completion was cut off, counts like any other.

Code extraction from text without fences. Decides which lines are a program, and which are prose. Pure, and linear in
the length of the text.

For Python: a line is prose if no Python could have it. There, two names or numbers never stand side by side, but for
keywords, and some signs do not occur. So strings and comments are left out, and what is left is looked at. The program
is the longest row of lines that are no prose and of which one does something: imports, defines, reads or prints; of two
that are as long, the last. A text that is all code is returned as it is.

For languages with braces: from the first line that begins as such programs do to the last one that ends as their lines
do.
"""

import re
from collections.abc import Iterator
from textwrap import dedent
from typing import Final

from balancer.judge.fences import FencedBlock, blocks_of, is_tag, names_of
from balancer.program import Program

__all__ = ["bare_code", "code_in", "does_something", "program_in"]

_TAGS: Final = "think|thinking|thought|reasoning"
_STRINGS: Final = re.compile(
    r'"""[\s\S]*?(?:"""|\Z)|'
    r"'''[\s\S]*?(?:'''|\Z)|"
    r'"(?:[^"\\\n]|\\[\s\S])*"?|'
    r"'(?:[^'\\\n]|\\[\s\S])*'?|#[^\n]*"
)
_KEYWORDS = (
    "False|None|True|and|as|assert|async|await|break|class|continue|def|del|elif|else|except|finally|for|from|global|if"
    "|import|in|is|lambda|nonlocal|not|or|pass|raise|return|try|while|with|yield"
)
_PREFIX = "[rRbBuUfFtT]{1,2}"  # of a string
# Names, numbers and strings side by side. A string is the sign \x01 here.
_SIDE_BY_SIDE: Final = re.compile(
    rf"(?:(?<![\w\x01])(?!(?:{_KEYWORDS})\b)\w++|[\])]|\x01)[ \t]++(?!(?:{_KEYWORDS})\b|{_PREFIX}\x01)\w"
    rf"|(?<![\w\x01])(?!(?:{_KEYWORDS})\b|{_PREFIX}\x01)\w++[ \t]*+\x01"
    rf"|\x01(?!(?:{_KEYWORDS})\b|{_PREFIX}\x01)\w"
)
_SOFT: Final = re.compile(r"^[ \t]*(?:match|case|type)[ \t]+(?=\S)")
_NEVER: Final = re.compile(
    r"[$?`]|!(?!=)|[^\x00-\x7f\w]|\.[ \t]*$"
    r"|^(?:[-*+]|\d{1,9}[.)])[ \t]|^[ \t]*</?[\w|-]+>[ \t]*$"  # an item of a list, a tag
    r"|^(?!(?:else|try|finally)\b)\w+:[ \t]*$"  # "Answer:"
)
_DOES: Final = re.compile(
    r"^[ \t]*(?:import[ \t]+[A-Za-z_]|from[ \t]+[\w.]+[ \t]+import\b"
    r"|(?:async[ \t]+)?def[ \t]+\w+[ \t]*[(\[]|class[ \t]+\w+[ \t]*[(:\[])"
    r"|(?<![\w.])(?:print|input|open|exec|eval|__import__)[ \t]*\(",
    re.MULTILINE,
)
_LABEL: Final = re.compile(
    r"[^\n:\"'()\[\]{}=]{0,60}\b(?:answer|code|solution|program|response)\b[^\n:\"'()\[\]{}=]{0,20}:[ \t]+(?=\S)",
    re.IGNORECASE,
)
_ASSIGNED: Final = re.compile(r"[\w.\[\], |]+=")
_ALL_TICKED: Final = re.compile(r"^[ \t]*`([^`\n]+)`[ \t]*$", re.MULTILINE)

_BEGINS: Final = {
    "cpp": r"#[ \t]*(?:include|define|pragma)\b|using[ \t]+namespace\b"
    r"|template[ \t]*<|(?:int|auto|signed|void)[ \t]+main\b",
    "c": r"#[ \t]*(?:include|define|pragma)\b|typedef\b|(?:int|void)[ \t]+main\b",
    "java": r"import[ \t]+(?:static[ \t]+)?[\w.]+(?:\.\*)?;|package[ \t]+[\w.]+;"
    r"|(?:(?:public|final|abstract)[ \t]+)*class[ \t]+\w",
    "go": r"package[ \t]+\w+[ \t]*$|//go:build\b",
    "rust": r"#!?\[|use[ \t]+[\w:{]+|(?:pub[ \t]+)?(?:fn|struct|enum|mod)[ \t]+\w+[^\w\n]",
    "kotlin": r"import[ \t]+[\w.]+[ \t]*$|package[ \t]+[\w.]+[ \t]*$"
    r"|fun[ \t]+\w+[ \t]*\(|(?:data[ \t]+)?class[ \t]+\w+[ \t]*[({:]",
}
_MUST: Final = {
    "cpp": r"#[ \t]*include[ \t]*[<\"]|\bmain[ \t]*\(",
    "c": r"#[ \t]*include[ \t]*[<\"]|\bmain[ \t]*\(",
    "java": r"\bclass[ \t]+\w+\s*(?:<|\{|extends\b|implements\b)",
    "go": r"\bfunc[ \t]+main[ \t]*\(",
    "rust": r"\bfn[ \t]+main[ \t]*\(",
    "kotlin": r"\bfun[ \t]+main[ \t]*\(",
}
_FIRST: Final = {name: re.compile(rf"^[ \t]*(?:{each})", re.MULTILINE) for name, each in _BEGINS.items()}
_NEEDED: Final = {name: re.compile(each) for name, each in _MUST.items()}
_ENDS: Final = re.compile(r"(?:[};)]|\*/)[ \t]*(?://[^\n]*)?$", re.MULTILINE)


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


def bare_code(text: str, language: str) -> str | None:
    """Return the program in `text`, which has no fences; None if there is none, or `language` is not known here."""
    if language in ("python", "pypy"):
        return _python(text)
    if language not in _FIRST or _NEEDED[language].search(text) is None:
        return None
    first = _FIRST[language].search(text)
    if first is None:
        return None
    last = max((match.end() for match in _ENDS.finditer(text, first.start())), default=None)
    return None if last is None else text[first.start() : last] + "\n"


def does_something(code: str, language: str) -> bool:
    """Return whether `code` looks like a program; for languages that are not known here, whether it is anything."""
    if language in ("python", "pypy"):
        return _python(code) is not None
    return _NEEDED[language].search(code) is not None if language in _NEEDED else bool(code.strip())


def _python(text: str) -> str | None:
    text = _ALL_TICKED.sub(r"\1", text)
    lines = text.split("\n")
    bare = _hollow(text)
    rows: list[tuple[int, int]] = []  # of lines that are no prose
    start: int | None = None
    for number, line in enumerate(bare):
        rest = _labelled(lines[number])
        if rest is None and not _is_prose(line):
            start = number if start is None and lines[number].strip() else start
            continue
        if start is not None:
            rows.append((start, number))
        start = None
        if rest is not None:
            lines[number], bare[number], start = rest, _hollow(rest)[0], number
    if start is not None:
        rows.append((start, len(lines)))
    if not rows:
        return None
    long = [(sum(1 for line in lines[begin:end] if line.strip()), begin, end) for begin, end in rows]
    does = [row for row in long if _DOES.search("\n".join(bare[row[1] : row[2]])) is not None]
    if not does:
        return None
    _, begin, end = max(does)
    whole = not "".join(lines[:begin]).strip() and not "".join(lines[end:]).strip() and not lines[begin][:1].isspace()
    return text.lstrip("\n") if whole and "\n".join(lines) == text else _lifted(lines[begin:end])


def _is_prose(line: str) -> bool:
    """Return whether no line of Python is `line`, which has no strings and comments any more."""
    if not line.strip():
        return False
    line = _SOFT.sub("if ", line, count=1)
    return _SIDE_BY_SIDE.search(line) is not None or _NEVER.search(line) is not None


def _labelled(line: str) -> str | None:
    """Return what follows the words on a line that say that an answer follows, if that may be a program."""
    label = _LABEL.match(line)
    if label is None:
        return None
    rest = line[label.end() :]
    bare = _hollow(rest)[0]
    return None if _is_prose(bare) or _DOES.search(bare) is None or _ASSIGNED.match(bare) is not None else rest


def _hollow(text: str) -> list[str]:
    """Return the lines of `text` with a sign for each string, and without comments; "$" for a string without end."""
    return _STRINGS.sub(_stand_in, text).split("\n")


def _stand_in(match: re.Match[str]) -> str:
    found = match[0]
    if found[0] == "#":
        return ""
    ended = len(found) > 1 and found[-1] == found[0]
    return ("\x01" if ended or found[:3] in ('"""', "'''") else "$") + "\n" * found.count("\n")


def _lifted(lines: list[str]) -> str:
    """Return `lines` without the indent of the first one, as of a block that is indented in a text."""
    indent = len(lines[0]) - len(lines[0].lstrip(" \t"))
    lifted = [line[min(indent, len(line) - len(line.lstrip(" \t"))) :] for line in lines]
    return "\n".join(lifted).strip("\n") + "\n"
