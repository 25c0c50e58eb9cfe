"""Code extraction: the program in a completion.

Decides which part of a completion is the program. Pure; time is linear in the length of the text. The rules, in order:

1. Thoughts do not count: everything up to the last `</think>` (or a similar tag), and everything after such a tag that
   was never closed. A tag in quotes does not count as a tag.
2. If the text marks its answer with `<answer>` or `<solution>`, and there is a program in it, only that part counts.
3. The program is the last block tagged with the language or one of its other names.
4. Without such a block, the program is the first of these that exists: the last untagged block that looks like a
   program; the text before the first fence, if a block is still open (the prompt may have opened one); the last
   untagged block; the last block whose tag is no language, if it looks like a program.
5. Without any block, the program is the part of the text that looks like one.

So the last attempt counts, and a block in another language never does. `fences` decides what a block is. A block that
was never closed, because the completion was cut off, counts like any other.

Text without fences, in Python: a line is prose if it cannot be Python. In Python, two names or numbers never stand side
by side, except around keywords, and some signs do not occur. Strings and comments are removed before the check. The
program is the longest row of lines without prose in which at least one line imports, defines, reads or prints; of two
equally long rows, the last. A text that is all code is returned unchanged.

Text without fences, in languages with braces: the program goes from the first line that begins like a program to the
last line that ends like one.
"""

import re
from collections.abc import Iterator
from textwrap import dedent
from typing import Final

from balancer.judge.fences import FencedBlock, blocks_of, is_tag, names_of
from balancer.program import Program

__all__ = ["NO_PROGRAM", "bare_code", "code_in", "does_something", "program_in", "why_none"]

NO_PROGRAM = "the completion holds no program"

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
_PREFIX = "[rRbBuUfFtT]{1,2}"  # before a string
# Names, numbers and strings side by side. \x01 stands for a string.
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
)  # end-of-text tokens of models
_NEUTRAL: Final = ("text", "txt", "plaintext", "plain")
_END = 400  # only so many characters at the end are searched
_UNFINISHED: Final = re.compile(r"\n[ \t]*(?:`{1,2}|</?[\w|]*)?[ \t]*\Z")  # a fence or tag that was cut off


def code_in(completion: str, language: str = "python") -> str | None:
    """Return the program in `completion`; None if there is none.

    Args:
        completion: the text of the model.
        language: of the program; blocks in other languages do not count.
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
    """Return the program in `completion` as a `Program`; None if there is none. See `code_in`."""
    code = code_in(completion, language)
    return None if code is None else Program(language, code, name)


def why_none(completion: str, language: str = "python") -> str:
    """Return why there is no program in a completion: it may have blocks in other languages."""
    names = names_of(language)
    tags = dict.fromkeys(block.tag for block in blocks_of(_said(completion), names) if is_tag(block.tag))
    others = " and a ".join(tag for tag in tags if tag not in (*names, *_NEUTRAL))
    return f"the completion holds no program in {language}; it has a {others} block" if others else NO_PROGRAM


def _said(completion: str) -> str:
    """Return the text without thoughts and end-of-text tokens, with "\\n" as line end."""
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
    """Return begin and end of the last marked answer; None if there is none. Tags within a closed block are code."""
    begin = max((match.end() for match in _outside(_ANSWER, text, blocks)), default=None)
    if begin is None:
        return None
    ends = (match.start() for match in _outside(_ANSWERED, text, blocks) if match.start() >= begin)
    return begin, next(ends, len(text))


def _outside(tags: re.Pattern[str], text: str, blocks: list[FencedBlock]) -> Iterator[re.Match[str]]:
    """Yield the matches that are outside every closed block."""
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
    """Return the code of a block, without a cut-off fence or tag at its end."""
    code = block.code
    if not block.closed:
        cut = _ANSWERED.search(code)
        code = code[: cut.start()] if cut is not None else code
        code = code[:-_END] + _UNFINISHED.sub("\n", code[-_END:])
    indented = code.lstrip("\n")[:1].isspace()
    return dedent(code) if indented and language in ("python", "pypy") else code


def bare_code(text: str, language: str) -> str | None:
    """Return the program in `text`, which has no fences; None if there is none, or the language is not known here."""
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
    """Return whether `code` looks like a program. For languages not known here: whether it is not empty."""
    if language in ("python", "pypy"):
        return _python(code) is not None
    return _NEEDED[language].search(code) is not None if language in _NEEDED else bool(code.strip())


def _python(text: str) -> str | None:
    text = _ALL_TICKED.sub(r"\1", text)
    lines = text.split("\n")
    bare = _hollow(text)
    rows: list[tuple[int, int]] = []  # rows of lines without prose
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
    """Return whether `line`, without its strings and comments, cannot be Python."""
    if not line.strip():
        return False
    line = _SOFT.sub("if ", line, count=1)
    return _SIDE_BY_SIDE.search(line) is not None or _NEVER.search(line) is not None


def _labelled(line: str) -> str | None:
    """Return the code after a label such as "Answer:" on the line; None if it cannot be a program."""
    label = _LABEL.match(line)
    if label is None:
        return None
    rest = line[label.end() :]
    bare = _hollow(rest)[0]
    return None if _is_prose(bare) or _DOES.search(bare) is None or _ASSIGNED.match(bare) is not None else rest


def _hollow(text: str) -> list[str]:
    """Return the lines of `text` without comments, "\\x01" for each string and "$" for one that never ends."""
    return _STRINGS.sub(_stand_in, text).split("\n")


def _stand_in(match: re.Match[str]) -> str:
    found = match[0]
    if found[0] == "#":
        return ""
    ended = len(found) > 1 and found[-1] == found[0]
    return ("\x01" if ended or found[:3] in ('"""', "'''") else "$") + "\n" * found.count("\n")


def _lifted(lines: list[str]) -> str:
    """Return `lines` as text, without the indent of the first line."""
    indent = len(lines[0]) - len(lines[0].lstrip(" \t"))
    lifted = [line[min(indent, len(line) - len(line.lstrip(" \t"))) :] for line in lines]
    return "\n".join(lifted).strip("\n") + "\n"
