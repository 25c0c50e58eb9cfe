"""The built-in languages, offered through the same hook as anybody else's."""

from balancer.hookspecs import hookimpl
from balancer.language import Language
from balancer.sandbox.languages.table import LANGUAGES

__all__ = ["balancer_languages"]


@hookimpl
def balancer_languages() -> tuple[Language, ...]:
    """Return the built-in languages."""
    return LANGUAGES
