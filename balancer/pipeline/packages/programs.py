"""Programs of a package: a file, or a folder with one or several sources, or with scripts that build and run it.

Decides which file is the source, and which other files belong to the program. Detects the language by the file
extension (see `balancer.program`), Python 2 by a shebang, and Perl in a `.pl` by its words: the format has `.pl` for
Prolog, but many generators are in Perl.
"""

import re
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import PurePosixPath

from balancer.pipeline.packages.folder import Folder, UnusableProgram
from balancer.program import Program
from balancer.sandbox.languages.known import by_extension

__all__ = ["extension_of", "headers_in", "language_of", "program_of", "read_program"]

_SCRIPTED = "folder"  # the language of a folder with the scripts `build` and `run`
_SCRIPTS = ("build", "run")
_MIXED = {frozenset({"c", "cpp"}): "cpp"}
_HEADERS = frozenset({".h", ".hh", ".hpp", ".hxx", ".h++"})


def read_program(
    folder: Folder,
    path: str,
    *,
    scripts: bool = False,
    language: str | None = None,
    entry: str | None = None,
    included: Callable[[str], Mapping[str, bytes]] | None = None,
) -> Program:
    """Read the program at `path`.

    Args:
        folder: the package.
        path: a file or a folder.
        scripts: whether a folder may have scripts that build and run it (validators and generators, not submissions).
        language: if the package names one; else by extension.
        entry: the main file or class, if the package names one.
        included: returns the files that are added to every program in a language.

    Raises:
        UnusableProgram: it cannot be used.
        PackageError: it cannot be read.
    """
    if not folder.is_folder(path):
        files = {PurePosixPath(path).name: _content(folder, path)}
    else:
        files = {}
        for file in folder.files(path):
            with folder.findings.leaving_out(file):  # e.g. a picture that the program does not need
                files[file.removeprefix(f"{path}/")] = _content(folder, file)
    if scripts and folder.is_folder(path) and any(name in files for name in _SCRIPTS):
        return Program(_SCRIPTED, _text(folder, path, "run", files.get("run", b"")), path, extras=_sorted(files))
    return program_of(folder, path, files, language=language, entry=entry, included=included)


def program_of(
    folder: Folder,
    path: str,
    files: Mapping[str, bytes],
    *,
    language: str | None = None,
    entry: str | None = None,
    included: Callable[[str], Mapping[str, bytes]] | None = None,
) -> Program:
    """Return the program of the `files` (name -> content) at `path`. Arguments as for `read_program`."""
    spoken = language or _language(path, files)
    added = {} if included is None else included(spoken)
    main = _main(spoken, files, entry)
    if driver := _driver(spoken, files[main], added):
        main = driver
    files = {**files, **added}
    name = path if main == PurePosixPath(path).name else f"{path}/{main}"
    extras = _sorted({name: content for name, content in files.items() if name != main})
    return Program(spoken, _text(folder, path, main, files[main]), name, extras=extras)


def headers_in(folder: Folder, place: str) -> dict[str, bytes]:
    """Return the headers directly in `place`, which programs of one file may include."""
    files = [file for file in folder.entries(place) if extension_of(file) in _HEADERS]
    return {PurePosixPath(file).name: _content(folder, file) for file in files}


def _content(folder: Folder, file: str) -> bytes:
    content = folder.data(file)
    if not folder.constants:
        return content
    try:
        return folder.filled(content.decode()).encode()
    except UnicodeDecodeError:
        return content


def _text(folder: Folder, path: str, name: str, content: bytes) -> str:
    file = f"{path}/{name}" if folder.is_folder(path) else path
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise folder.error(file, f"is not UTF-8 (byte {error.start}); save it as UTF-8") from error


def _language(path: str, files: Mapping[str, bytes]) -> str:
    found = {language for language in (_spoken(name, content) for name, content in files.items()) if language}
    mixed = frozenset(found)
    if len(found) == 1 or mixed in _MIXED:
        return _MIXED.get(mixed) or found.pop()
    if found:
        several = ", ".join(sorted(found))
        raise UnusableProgram(f"the folder has sources in several languages ({several}); one is allowed")
    if len(files) == 1:
        raise UnusableProgram(f"no known language has the extension {extension_of(next(iter(files))) or '(none)'!r}")
    raise UnusableProgram("the folder has no source in a known language")


def _spoken(name: str, content: bytes) -> str | None:
    return language_of(name, content[:_LOOKED_AT].decode(errors="replace"))


def _main(language: str, files: Mapping[str, bytes], entry: str | None) -> str:
    for name in files:
        if entry in (name, PurePosixPath(name).name, PurePosixPath(name).stem):  # a file, or the class of one
            return name
    sources = [name for name, content in files.items() if _spoken(name, content) is not None]
    if not sources and len(files) == 1:  # the package names its language
        return next(iter(files))
    if len(sources) == 1:
        return sources[0]
    likely = [name for name in sources if _is_main(language, name, files[name].decode(errors="replace"))]
    if likely:
        return min(likely, key=lambda name: (not _is_called_main(name), name.count("/"), name))
    raise UnusableProgram(f"the folder has {len(sources)} sources, and none of them is called main or __main__")


def _driver(language: str, own: bytes, added: Mapping[str, bytes]) -> str | None:
    """Return the added file that is the main one; None if there is none. It is named main, or only it has a main."""
    has_main = _is_main(language, "", own.decode(errors="replace"))
    for name, content in added.items():
        is_main = _is_called_main(name) or (not has_main and _is_main(language, name, content.decode(errors="replace")))
        if _spoken(name, content) and is_main:
            return name
    return None


def _sorted(files: Mapping[str, bytes]) -> tuple[tuple[str, bytes], ...]:
    return tuple(sorted(files.items()))


# Languages without an entry in the table of languages. They have a name, for messages.
_OTHERS = {
    **dict.fromkeys((".adb", ".ads"), "ada"),
    **dict.fromkeys((".f90", ".f95", ".f"), "fortran"),
    **dict.fromkeys((".lisp", ".cl"), "lisp"),
    **dict.fromkeys((".pas", ".pp"), "pascal"),
    **dict.fromkeys((".pl", ".plg"), "prolog"),
    ".awk": "awk",
    ".bash": "bash",
    ".d": "d",
    ".ex": "elixir",
    ".jl": "julia",
    ".m": "objective-c",
    ".nim": "nim",
    ".py2": "python2",
    ".r": "r",
    ".scala": "scala",
    ".swift": "swift",
    ".ts": "typescript",
    ".vb": "visualbasic",
    ".zig": "zig",
}
_LOOKED_AT = 4000  # bytes of a source that tell its language
_PYTHON_2 = re.compile(r"^#!.*python2")
_PERL = re.compile(r"\A#!.*\bperl|^\s*(?:use\s+(?:strict|warnings|v?5|[A-Z]\w*)|(?:my|our)\s*[($@%])", re.MULTILINE)
_MAIN = {
    **dict.fromkeys(("c", "cpp", "d", "haskell", "kotlin", "go", "rust", "swift"), re.compile(r"\bmain\b\s*[(={]?")),
    **dict.fromkeys(("java", "csharp", "scala"), re.compile(r"\b[Mm]ain\s*\(")),
}


@cache
def _languages() -> dict[str, str]:
    return {**_OTHERS, **by_extension()}


def extension_of(path: str) -> str:
    """Return the extension of a file, in lower case and with its dot."""
    return PurePosixPath(path).suffix.lower()


def language_of(path: str, text: str = "") -> str | None:
    """Return the language of a source, by its name, and by its text for Python 2 and Perl; None if it has none."""
    language = _languages().get(extension_of(path))
    if language == "prolog" and _PERL.search(text):
        return "perl"
    return "python2" if language == "python" and _PYTHON_2.match(text) else language


def _is_main(language: str, path: str, text: str) -> bool:
    """Return whether this source is probably the main one of several."""
    return _is_called_main(path) or (language in _MAIN and _MAIN[language].search(text) is not None)


def _is_called_main(path: str) -> bool:
    return PurePosixPath(path).stem.lower() in ("main", "__main__")
