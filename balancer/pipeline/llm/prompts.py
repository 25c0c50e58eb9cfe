"""What a model is asked, from files that a user may replace.

Decides which file is which part of a question, and the version of a set of files: a hash, so that an answer is never
taken for one to another question. It must not know who is asked.
"""

import hashlib
from importlib import resources
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined, TemplateError

from balancer.errors import ConfigError

__all__ = ["Prompts"]

_FILES = ("system.md", "propose.md", "refine.md")


class Prompts:
    """The files of a question: `system.md`, `propose.md` for the first round, `refine.md` for each later one.

    Args:
        folder: files in it take the place of ours of the same name; None: ours.

    Attributes:
        version: 12 hex digits; another text is another version.

    Raises:
        ConfigError: the folder is not there, or a file of it is no template.
    """

    def __init__(self, folder: str | None) -> None:
        texts = {name: _text(name, folder) for name in _FILES}
        self.version = hashlib.sha256("\0".join(texts.values()).encode()).hexdigest()[:12]
        # Data goes in as text and is never a template itself.
        environment = Environment(undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, autoescape=False)
        self._templates = {}
        for name, text in texts.items():
            try:
                self._templates[name] = environment.from_string(text)
            except TemplateError as error:
                raise ConfigError(f"llm.prompts: {folder}/{name}: {error}") from None

    def system(self) -> str:
        """Return what a model is told about its task."""
        return self._render("system.md", {})

    def propose(self, **facts: Any) -> str:
        """Return the question of the first round."""
        return self._render("propose.md", facts)

    def refine(self, **facts: Any) -> str:
        """Return the question of a later round."""
        return self._render("refine.md", facts)

    def _render(self, name: str, facts: dict[str, Any]) -> str:
        try:
            return self._templates[name].render(facts)
        except TemplateError as error:
            raise ConfigError(f"llm.prompts: {name}: {error}") from None


def _text(name: str, folder: str | None) -> str:
    if folder is not None:
        place = Path(folder)
        if not place.is_dir():
            raise ConfigError(f"llm.prompts: {folder}: no such folder; name one with {', '.join(_FILES)}")
        if (place / name).is_file():
            return (place / name).read_text(encoding="utf-8")
    return (resources.files(__package__) / "prompts" / name).read_text(encoding="utf-8")
