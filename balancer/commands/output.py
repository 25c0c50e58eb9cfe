"""JSON output of commands: one document on standard output.

Decides the keys that every document has, whichever command it is of. It must not know any command.
"""

import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Annotated, Any

import typer

from balancer.reporting.files import json_text

__all__ = ["JsonOption", "print_json", "wants_json"]

_OPTION = "--json"

JsonOption = Annotated[
    bool, typer.Option(_OPTION, help="Print one JSON document on standard output, and all else on standard error.")
]


def wants_json() -> bool:
    """Return whether the command line asks for JSON, also one that is wrong otherwise."""
    return _OPTION in sys.argv[1:]


def print_json(
    found: Mapping[str, Any], *, errors: Iterable[str] = (), redact: Callable[[str], str] | None = None
) -> None:
    """Print `found` as a document, with `errors`: a line for each thing that went wrong, none if all went well.

    Args:
        redact: applied to every text in it.
    """
    document = {**found, "errors": list(errors)}
    print(json_text(_redacted(document, redact) if redact else document), end="")


def _redacted(value: Any, redact: Callable[[str], str]) -> Any:
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, Mapping):
        return {redact(str(key)): _redacted(item, redact) for key, item in value.items()}
    return [_redacted(item, redact) for item in value] if isinstance(value, list | tuple) else value
