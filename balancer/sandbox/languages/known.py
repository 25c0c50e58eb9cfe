"""All known languages: the built-in ones and those of installed plugins.

If several languages claim a file ending, the first one gets it.
"""

from collections.abc import Mapping

from balancer.plugins.registry import default_registry
from balancer.program import Language

__all__ = ["by_extension", "known_languages"]


def known_languages() -> Mapping[str, Language]:
    """Return all installed languages, by name."""
    return {name: entry.item for name, entry in default_registry().languages.items()}


def by_extension(languages: Mapping[str, Language] | None = None) -> dict[str, str]:
    """Return the language of each ending of a source file, e.g. ".cc" -> "cpp"."""
    found: dict[str, str] = {}
    for language in (known_languages() if languages is None else languages).values():
        for extension in language.extensions:
            found.setdefault(extension, language.name)
    return found
