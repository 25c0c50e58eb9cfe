"""Prompts: what a model is asked, from files that a user may replace.

Decides which file is which part of a question, and the version of a set of files: a hash, so that an answer is never
taken for one to another question. It must not know who is asked.
"""

import hashlib
from importlib import resources
from pathlib import Path
from typing import Any

from jinja2 import StrictUndefined, TemplateError, meta
from jinja2.sandbox import ImmutableSandboxedEnvironment

from balancer.errors import ConfigError

__all__ = ["Prompts"]

_COMMON = frozenset({"name", "statement", "time_limit_s", "most"})
_FACTS = {
    "system.md": frozenset[str](),
    "propose.md": _COMMON | {"examples", "reference", "many_answers"},
    "refine.md": _COMMON | {"round", "cases", "failed", "disagreed", "refused", "complaints", "survivors"},
}


class Prompts:
    """The files of a question: `system.md`, `propose.md` for the first round, `refine.md` for each later one.

    Args:
        folder: files in it take the place of ours of the same name; None: ours.

    Attributes:
        version: 12 hex digits; another text is another version.

    Raises:
        ConfigError: the folder is not there, or a file of it is no template, or asks for what there is not.
    """

    def __init__(self, folder: str | None) -> None:
        texts = {name: _text(name, folder) for name in _FACTS}
        self.version = hashlib.sha256("\0".join(texts.values()).encode()).hexdigest()[:12]
        # Data goes in as text and is never a template itself; a template may come from anywhere, so it gets no Python.
        environment = ImmutableSandboxedEnvironment(
            undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, autoescape=False
        )
        self._templates = {}
        for name, text in texts.items():
            try:
                self._templates[name] = environment.from_string(text)
                unknown = meta.find_undeclared_variables(environment.parse(text)) - _FACTS[name]
            except TemplateError as error:
                raise ConfigError(f"llm.prompts: {folder}/{name}: {error}") from None
            if unknown:
                known = ", ".join(sorted(_FACTS[name])) or "none"
                raise ConfigError(f"llm.prompts: {folder}/{name}: there is no {min(unknown)!r} (there are: {known})")

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
        except (TemplateError, ArithmeticError, LookupError, TypeError, ValueError) as error:
            raise ConfigError(f"llm.prompts: {name}: {error}") from None


def _text(name: str, folder: str | None) -> str:
    if folder is not None:
        place = Path(folder)
        if not place.is_dir():
            raise ConfigError(f"llm.prompts: {folder}: no such folder; name one with {', '.join(_FACTS)}")
        if (place / name).exists():
            try:
                return (place / name).read_text(encoding="utf-8")
            except (OSError, UnicodeDecodeError) as error:
                why = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
                raise ConfigError(f"llm.prompts: {place / name} cannot be read: {why}") from None
    return (resources.files(__package__) / "prompts" / name).read_text(encoding="utf-8")
