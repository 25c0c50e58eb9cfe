"""Fenced code blocks of a text, and their language tags.

Decides where a block begins and ends, and which language its tag names. Pure; time is linear in the length of the text.
Models do not keep to CommonMark, so there are further rules:

- A fence may follow words on its line, if it names a language or nothing. Code may follow the tag on the same line.
- A fence may close a block behind code, outside strings and comments.
- In Python, a fence within a triple-quoted string belongs to the string, if the string ends.
- A fence that names a language, in an open block, begins a new block: the first one was never closed.
- Three or more signs that open and close on one line are a block of that line.
- A block tagged as Markdown is ignored; the blocks in it count.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

__all__ = ["FencedBlock", "blocks_of", "is_tag", "names_of", "tag_of"]

_RUN: Final = re.compile(r"`{3,}|^[ \t]*~{3,}", re.MULTILINE)
_MOST_WORDS = 100  # characters after a fence that are read
_MOST_BEFORE = 100  # characters before a fence that are read
_WORDS: Final = re.compile(rf"[ \t]*([^\n]{{0,{_MOST_WORDS}}})")
_BEFORE: Final = re.compile(r"(?:[ \t]|>|[-*+]|\d{1,9}[.)])*")  # marks of quotations and list items
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
# Other tags after a fence, which are no program in a language above.
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
_VERSION: Final = re.compile(r"(?<=[a-z])[-.]?\d[\d.]*$")  # python3, python3.11; "c++17" and "g++-13" do not match


@dataclass(frozen=True, slots=True)
class FencedBlock:
    """A fenced block.

    Attributes:
        tag: the language it names, in lower case; "" if none.
        code: its content.
        start, end: its place in the text, with the fences.
        closed: whether a fence closed it.
        inline: whether it is part of one line.
    """

    tag: str
    code: str
    start: int
    end: int
    closed: bool = True
    inline: bool = False


@dataclass(frozen=True, slots=True)
class _Run:
    """Three or more fence signs: their place and line, the words after them, and whether no words stand before them."""

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
    """An open block: its fence, where its code begins, and how far it has been read."""

    sign: str
    length: int
    tag: str
    start: int
    body: int
    at: int
    indent: int
    lexer: re.Pattern[str]


def blocks_of(text: str, names: tuple[str, ...]) -> list[FencedBlock]:
    """Return the fenced blocks of `text`, in order. `names` are the names of the wanted language."""
    return _Reader(text, names).blocks()


class _Reader:
    def __init__(self, text: str, names: tuple[str, ...]) -> None:
        self._text = text
        self._plain = _PYTHON if names and names[0] == "python" else _OTHER
        self._runs = list(_runs(text))
        self._last_bare = max((run.start for run in self._runs if run.bare), default=-1)
        self._found: list[FencedBlock] = []
        self._ends: dict[str, tuple[int, int | None]] = {}  # for each kind of quotes: begin and end of a string

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
        """Return the tag after a fence, and where the code begins, which may be on the same line."""
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
        """Return where the string or comment begins that is open at `to`; None if none is open."""
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
    """Return `code` without the indent of its fence. Lines with a smaller indent lose all of it."""
    if not indent:
        return code
    lines = code.split("\n")
    return "\n".join(line[min(indent, len(line) - len(line.lstrip(" \t"))) :] for line in lines)


def names_of(language: str) -> tuple[str, ...]:
    """Return the tags that a block in `language` may have.

    Raises:
        ValueError: it is another name of a language, e.g. "Python" or "c++".
    """
    found = _NAMES.get(language)
    if found is not None:
        return found
    tag = tag_of(language)
    tag = "c++" if re.fullmatch(r"c\+\+\d+", tag) else tag
    own = next((name for name, tags in _NAMES.items() if tag in tags), tag)
    if own in _KNOWN and own != language:
        raise ValueError(f"language is {language!r}; it takes {own!r}")
    return (language,)


def tag_of(words: str) -> str:
    """Return the language that the words after a fence name, as in "Python3", "{.python}", "py x=1" or "main.py".

    Returns "" if there is no word, and the word in lower case if it is no known language.
    """
    found = _WORD.match(words.strip())
    if found is None:
        return ""
    word = found[1].lower().rstrip(".")
    if word in _KNOWN:
        return word
    ending = word.rpartition(".")[2]  # file name extension
    if ending in _KNOWN and ending != word:
        return ending
    return _VERSION.sub("", word)


def is_tag(words: str) -> bool:
    """Return whether the words after a fence begin with a known language."""
    return tag_of(words) in _KNOWN
