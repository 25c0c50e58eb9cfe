"""Fenced code blocks of a text.

Decides where a block begins and ends. Pure, and linear in the length of the text, whatever is in it: what is looked at
twice is bounded. Models do not keep to CommonMark, so beyond its rules:

- A fence may follow words on its line if it names a language, or nothing; what follows it may be code already.
- A fence closes behind code as well, where no string and no comment is open.
- In Python a fence within a string of three quotes is a part of the string, if the string ends.
- A fence that names a language, in a block that is open, begins a block: the one before was never closed.
- Three signs and more that open and close on one line are a block of that line.
- A block that is tagged as Markdown is not there: what is in it counts.

Language tags: what languages are called in what models write. Decides which language the words after a fence name.
Pure.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

__all__ = ["FencedBlock", "blocks_of", "is_tag", "names_of", "tag_of"]

_RUN: Final = re.compile(r"`{3,}|^[ \t]*~{3,}", re.MULTILINE)
_MOST_WORDS = 100  # characters after a fence that are looked at
_MOST_BEFORE = 100  # and before it
_WORDS: Final = re.compile(rf"[ \t]*([^\n]{{0,{_MOST_WORDS}}})")
_BEFORE: Final = re.compile(r"(?:[ \t]|>|[-*+]|\d{1,9}[.)])*")  # of a quotation, or of an item of a list
_QUOTED: Final = re.compile(r"[ \t]*>[ \t]?")
_TAG_ALONE: Final = re.compile(r"[\w{}.+#:/-]+")
_CODE_WORDS: Final = re.compile(
    r"(?:import|from|def|class|for|while|if|print|return|using|public|package|fn|int|void)\b"
)
_CODE: Final = re.compile(r"(?:import|from|def|class|for|while|using)\b|#include|\w[\w, ]* = \S|\w[\w.]*\(|\w+=\w+\(")
_MARKDOWN: Final = ("markdown", "md")

_TRIPLE: Final = ('"""', "'''")
_STRING: Final = r""""(?:[^"\\\n]|\\.)*"?|'(?:[^'\\\n]|\\.)*'?"""
_PYTHON: Final = re.compile(rf'#[^\n]*|"""|\'\'\'|{_STRING}', re.DOTALL)
_OTHER: Final = re.compile(rf"//[^\n]*|{_STRING}", re.DOTALL)
_PYTHON_TAGS: Final = ("python", "py", "pypy")
_NAMES: Final = {
    "python": ("python", "py"),
    "pypy": ("python", "py", "pypy"),
    "cpp": ("cpp", "c++", "cc", "cxx"),
    "c": ("c",),
    "javascript": ("javascript", "js", "node"),
    "java": ("java",),
    "kotlin": ("kotlin", "kt"),
    "rust": ("rust", "rs"),
    "go": ("go", "golang"),
}
# What else stands after a fence, and is no program in a language above.
_OTHERS: Final = (
    "bash", "sh", "shell", "zsh", "console", "terminal", "powershell", "cmd", "json", "yaml", "yml", "toml", "xml",
    "html", "css", "sql", "csv", "diff", "typescript", "ts", "csharp", "cs", "c#", "ruby", "rb", "php", "perl", "swift",
    "scala", "haskell", "hs", "lua", "r", "julia", "matlab", "ocaml", "pascal", "fortran", "cobol", "assembly", "asm",
    "latex", "tex", "math", "pycon", "text", "txt", "plaintext", "plain", "output", "input", "markdown", "md",
    "pseudocode", "pseudo", "mermaid", "dart", "elixir", "erlang", "clojure", "lisp", "scheme", "prolog", "d", "nim",
    "zig",
)  # fmt: skip
_KNOWN: Final = frozenset(_OTHERS).union(*_NAMES.values())

_WORD: Final = re.compile(r"\{?\.?([A-Za-z][\w+#.-]*)\}?")
_VERSION: Final = re.compile(r"(?<=[a-z])[-.]?\d[\d.]*$")  # python3, python3.11; "c++17" and "g++-13" are not asked for


@dataclass(frozen=True, slots=True)
class FencedBlock:
    """A fenced block.

    Attributes:
        tag: the language that it names, in lower case; "" if it names none.
        code: what is in it.
        start, end: where it is in the text, fences included.
        closed: whether it was closed by a fence.
        inline: whether it is a part of one line.
    """

    tag: str
    code: str
    start: int
    end: int
    closed: bool = True
    inline: bool = False


@dataclass(frozen=True, slots=True)
class _Run:
    """Three signs or more: where, on which line, what follows, and whether it has no words before it."""

    start: int
    end: int
    line: int
    line_end: int
    alone: bool
    words: str

    @property
    def bare(self) -> bool:
        return self.alone and not self.words


@dataclass(slots=True)
class _Open:
    """A block that was opened: its fence, where its code begins, and how far that has been read."""

    sign: str
    length: int
    tag: str
    start: int
    body: int
    at: int
    indent: int
    lexer: re.Pattern[str]


def blocks_of(text: str, names: tuple[str, ...]) -> list[FencedBlock]:
    """Return the fenced blocks of `text`, in order; `names` are those of the language that is looked for.

    Time: linear in the length of `text`.
    """
    return _Reader(text, names).blocks()


class _Reader:
    def __init__(self, text: str, names: tuple[str, ...]) -> None:
        self._text = text
        self._plain = _PYTHON if names and names[0] == "python" else _OTHER
        self._runs = list(_runs(text))
        self._last_bare = max((run.start for run in self._runs if run.bare), default=-1)
        self._found: list[FencedBlock] = []
        self._ends: dict[str, tuple[int, int | None]] = {}  # of strings: by its quotes, where one began and ended

    def blocks(self) -> list[FencedBlock]:
        open_: _Open | None = None
        index = 0
        while index < len(self._runs):
            run = self._runs[index]
            index += 1
            if open_ is not None:
                open_ = self._within(open_, run) if run.start >= open_.at else open_
            elif index < len(self._runs) and self._runs[index].line == run.line and self._text[run.start] == "`":
                following = self._runs[index]  # on the same line
                if not is_tag(following.words):
                    self._add_inline(run, following)
                    index += 1
            else:
                open_ = self._opening(run)
        if open_ is not None:
            self._add(open_, len(self._text), len(self._text), closed=False)
        return self._found

    def _opening(self, run: _Run) -> _Open | None:
        """Return the block that `run` opens, if it does."""
        if not run.alone and run.words and not is_tag(run.words):
            return None
        tag, body = self._tagged(run)
        if tag in _MARKDOWN:
            return None
        lexer = _PYTHON if tag in _PYTHON_TAGS else _OTHER if tag else self._plain
        quoted = ">" in self._text[run.line : run.start]
        indent = run.start - run.line if run.alone and not quoted else 0
        return _Open(self._text[run.start], run.end - run.start, tag, run.start, body, body, indent, lexer)

    def _tagged(self, run: _Run) -> tuple[str, int]:
        """Return the tag that the words after a fence are, and where the code begins: it may be in that line."""
        below = min(run.line_end + 1, len(self._text))
        first, _, rest = run.words.partition(" ")
        if not first:
            return "", below
        if is_tag(first):
            here = _CODE.match(rest.lstrip()) is not None
            return tag_of(first), self._text.index(first, run.end) + len(first) + 1 if here else below
        if _CODE_WORDS.match(first) is not None or _TAG_ALONE.fullmatch(first) is None:
            return "", run.end
        return tag_of(first), below

    def _within(self, open_: _Open, run: _Run) -> _Open | None:
        """Return the block that is open after `run`, which is in the block `open_`."""
        text = self._text
        if text[run.start] != open_.sign or run.end - run.start < open_.length:
            return open_
        token = self._token(open_, run.start)
        if token is not None and text.startswith(_TRIPLE, token):
            over = self._string_end(token)
            if not run.bare or (over is not None and over < self._last_bare):
                open_.at = over or len(text)
                return open_
        elif token is not None and not run.alone and (run.words or text[token] in "\"'"):
            string = open_.lexer.match(text, token)
            open_.at = max(run.end, string.end() if string is not None else run.end)
            return open_
        if run.alone and run.words and (is_tag(run.words) or _TAG_ALONE.fullmatch(run.words) is not None):
            self._add(open_, run.line, run.start, closed=False)
            return self._opening(run)
        self._add(open_, run.line if run.alone else run.start, run.end, closed=True)
        return None

    def _token(self, open_: _Open, to: int) -> int | None:
        """Return where the string or comment begins that is open at `to`, if one is; it reads on from where it was."""
        at = open_.at
        while (match := open_.lexer.search(self._text, at, to)) is not None:
            opener = match[0]
            if opener in _TRIPLE:
                at = self._string_end(match.start()) or len(self._text)
            else:
                at = match.end()
                whole = len(opener) > 1 and opener[0] in "\"'" and opener[-1] == opener[0]
                at += at == to and not whole
            if at > to:
                open_.at = match.start()
                return match.start()
        open_.at = to
        return None

    def _string_end(self, start: int) -> int | None:
        """Return where the string of three quotes ends that begins at `start`; None if it does not."""
        quotes = self._text[start : start + 3]
        began, ended = self._ends.get(quotes, (-1, 0))
        if began != start and (began < 0 or ended is not None):
            found = self._text.find(quotes, start + 3)
            ended = found + 3 if found >= 0 else None
            self._ends[quotes] = start, ended
        return ended

    def _add(self, open_: _Open, to: int, end: int, *, closed: bool) -> None:
        code = self._text[open_.body : to]
        if _QUOTED.match(code) and all(_QUOTED.match(line) for line in code.split("\n") if line.strip()):
            code = "\n".join(_QUOTED.sub("", line, count=1) for line in code.split("\n"))
        self._found.append(FencedBlock(open_.tag, _dedented(code, open_.indent), open_.start, end, closed))

    def _add_inline(self, run: _Run, following: _Run) -> None:
        words = self._text[run.end : following.start].strip()
        first, _, rest = words.partition(" ")
        tag, code = (tag_of(first), rest) if is_tag(first) and rest.strip() else ("", words)
        self._found.append(FencedBlock(tag, code.strip() + "\n", run.start, following.end, inline=True))


def _runs(text: str) -> Iterator[_Run]:
    line, line_end = 0, -1
    for match in _RUN.finditer(text):
        start, end = match.end() - len(match[0].lstrip()), match.end()
        first = start > line_end
        if first:
            line = text.rfind("\n", max(line_end, 0), start) + 1 if line_end >= 0 or "\n" in text[:start] else 0
            found = text.find("\n", end)
            line_end = found if found >= 0 else len(text)
        alone = first and start - line <= _MOST_BEFORE and _BEFORE.fullmatch(text, line, start) is not None
        words = _WORDS.match(text, end)
        yield _Run(start, end, line, line_end, alone, words[1].strip() if words is not None else "")


def _dedented(code: str, indent: int) -> str:
    """Return `code` without the indent that its fence has, as in an item of a list; what has less of it keeps none."""
    if not indent:
        return code
    lines = code.split("\n")
    return "\n".join(line[min(indent, len(line) - len(line.lstrip(" \t"))) :] for line in lines)


def names_of(language: str) -> tuple[str, ...]:
    """Return what blocks of a program in `language` may be tagged with."""
    return _NAMES.get(language, (language,))


def tag_of(words: str) -> str:
    """Return the language that the words after a fence name, as in "Python3", "{.python}", "py x=1" or "main.py".

    It is "" where there is no word, and the word itself, in lower case, where that is no language that is known.
    """
    found = _WORD.match(words.strip())
    if found is None:
        return ""
    word = found[1].lower().rstrip(".")
    if word in _KNOWN:
        return word
    ending = word.rpartition(".")[2]  # of a file
    if ending in _KNOWN and ending != word:
        return ending
    return _VERSION.sub("", word)


def is_tag(words: str) -> bool:
    """Return whether what stands after a fence begins with a language that is known."""
    return tag_of(words) in _KNOWN
