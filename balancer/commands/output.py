"""Output of the command line: its error lines and its JSON documents."""

import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, NoReturn

from balancer.reporting.files import json_text

__all__ = ["JSON_OPTION", "complain", "print_errors", "print_json", "wants_json"]

JSON_OPTION: Final = "--json"
_WRONG: Final = 2


def complain(error: str) -> NoReturn:
    """Print `error`, as JSON if the command line has `--json`, and exit with code 2."""
    if wants_json():
        print_json({}, errors=error.splitlines())
    else:
        print_errors(error.splitlines())
    sys.exit(_WRONG)


def print_errors(lines: Iterable[str]) -> None:
    """Print each line on standard error, after `balancer: `."""
    for line in lines:
        print(f"balancer: {line}", file=sys.stderr)


def wants_json() -> bool:
    """Return whether the command line has `--json`, even if the rest of it is wrong."""
    return JSON_OPTION in sys.argv[1:]


def print_json(
    found: Mapping[str, Any], *, errors: Iterable[str] = (), redact: Callable[[str], str] | None = None
) -> None:
    """Print `found` as one JSON document, with `errors`.

    Args:
        errors: a line for each error; empty if there was none.
        redact: applied to every text in the document.
    """
    document = {**found, "errors": list(errors)}
    print(json_text(_redacted(document, redact) if redact else document), end="")


def _redacted(value: Any, redact: Callable[[str], str]) -> Any:
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, Mapping):
        return {redact(str(key)): _redacted(item, redact) for key, item in value.items()}
    return [_redacted(item, redact) for item in value] if isinstance(value, list | tuple) else value
