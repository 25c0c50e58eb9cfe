"""A hook of MkDocs: the documents link to files of the project that are not below docs/; the site gets a copy of each.

So a link works in the repository and in the site, and `strict` checks it in both. It must not know any document.
"""

import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from posixpath import relpath
from typing import Any

from mkdocs.structure.files import File, Files

_LINK = re.compile(r"(\]\()(?!\w+:|#|/)([^)#\s]+)")
_ROOT = Path(__file__).resolve().parents[2]


def on_files(files: Files, config: Any) -> Files:
    """Add the files that documents link to, and those that they link to."""
    todo = [Path(file.abs_src_path) for file in files.documentation_pages() if file.abs_src_path]
    while todo:
        document = todo.pop()
        for target in _outside(document):
            name = target.relative_to(_ROOT).as_posix()
            if name not in files.src_uris:
                files.append(File.generated(config, name, abs_src_path=str(target)))
                if target.suffix == ".md":
                    todo.append(target)
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Files) -> str:
    """Point links that lead out of docs/ at the copies."""
    document = Path(page.file.abs_src_path)
    here = PurePosixPath(page.file.src_uri).parent

    def moved(found: re.Match[str]) -> str:
        target = (document.parent / found[2]).resolve()
        docs = Path(config.docs_dir)
        inside = target.is_relative_to(docs)
        name = target.relative_to(docs if inside else _ROOT).as_posix()
        return f"{found[1]}{relpath(name, here)}"

    return _LINK.sub(moved, markdown)


def _outside(document: Path) -> Iterator[Path]:
    """Yield what `document` links to below the project's folder and not below docs/."""
    for found in _LINK.finditer(document.read_text(encoding="utf-8")):
        target = (document.parent / found[2]).resolve()
        if target.is_file() and target.is_relative_to(_ROOT) and not target.is_relative_to(_ROOT / "docs"):
            yield target
