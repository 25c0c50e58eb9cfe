"""Error texts: the nearest existing name, and a pydantic error as a line that says what to do."""

import errno
import os
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

__all__ = ["QUOTES_NOTHING", "describe", "did_you_mean", "shown", "unknown_key", "why_not_listening"]

QUOTES_NOTHING = "quotes_nothing"
"""The type of errors of our own validators that quote no value. They may be shown beside secrets."""

# Texts for TOML in place of pydantic's texts for Python.
_WORDS = {
    "dict_type": "it must be a table",
    "list_type": "it must be a list, such as ['a', 'b']; a list of tables is written [[name]]",
    "model_type": "it must be a table",
    "string_type": "it must be a text in quotes",
    "too_short": "it must not be empty",
}


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return "; did you mean 'x'?" for the nearest of `known`, or "" if none is near."""
    from difflib import get_close_matches  # imported here: only for errors, and slow

    near = get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f"; did you mean {near[0]!r}?" if near else ""


def unknown_key(key: str, known: Iterable[str]) -> str:
    """Return what to say of a key that is not one of `known`."""
    known = sorted(known)
    return f"unknown key{did_you_mean(key, known)} (known: {', '.join(known) or 'none'})"


def describe(error: "ErrorDetails", known: Iterable[str], *, secret: bool = False) -> str:
    """Return what was found and what is allowed, for one error of a pydantic model.

    Args:
        error: one of `ValidationError.errors()`.
        known: the keys that exist at its place.
        secret: True if the value found must not be shown.
    """
    key = str(error["loc"][-1]) if error["loc"] else ""
    if error["type"] == "extra_forbidden":
        return unknown_key(key, known)
    if error["type"] == "missing":
        return "is missing"
    if error["type"] == QUOTES_NOTHING:
        return error["msg"]
    if error["type"] in ("union_tag_invalid", "union_tag_not_found"):
        return _tag(error)
    message = _message(error)
    if secret and error["type"] == "value_error":  # our own validators quote what they found
        message = "it cannot be used here"
    if error["type"] == "value_error" and isinstance(error["input"], Mapping) and not secret:
        return message  # about several keys of a table, which it names
    found = "a value that is not shown" if secret else shown(error["input"])
    return f"found {found}: {message[:1].lower()}{message[1:]}"


_NUMBERS = ("int_type", "float_type", "bool_type")
_BOUNDS = {"greater_than": ">", "greater_than_equal": ">=", "less_than": "<", "less_than_equal": "<="}


def _message(error: "ErrorDetails") -> str:
    kind = error["type"]
    if kind in _NUMBERS:
        wanted = {"int_type": "a whole number", "float_type": "a number", "bool_type": "true or false"}[kind]
        return f"it must be {wanted}{'; leave out the quotes' if isinstance(error['input'], str) else ''}"
    if kind in _BOUNDS:
        bound: float = next(iter(error["ctx"].values()))
        return f"it must be {_BOUNDS[kind]} {bound:.15g}"
    return _WORDS.get(kind, error["msg"].removeprefix("Value error, "))


def _tag(error: "ErrorDetails") -> str:
    """Return a text about a table whose kind is missing or wrong."""
    context = error.get("ctx", {})
    key, found = str(context.get("discriminator", "kind")).strip("'"), str(context.get("tag", ""))
    tags = [tag.strip(" '") for tag in str(context.get("expected_tags", "")).split(",")]
    if not found:
        return f"its {key} is missing; the table needs one"
    return f"found {key} {_short(repr(found))}{did_you_mean(found, tags)} (there are: {', '.join(tags)})"


def shown(value: object) -> str:
    """Return a value that was found, for an error. A table or a list is not shown: it may contain secrets."""
    if isinstance(value, Mapping):
        return "a table"
    return "a list" if isinstance(value, list | tuple) else _short(repr(value))


def _short(text: str, most: int = 80) -> str:
    return text if len(text) <= most else text[: most - 3] + "..."


def why_not_listening(error: Exception) -> str:
    """Return why a server cannot listen, and what to do, for the end of a line."""
    number = getattr(error, "errno", None)
    if isinstance(error, OSError) and (number is None or number < 0 or number == errno.EADDRNOTAVAIL):  # < 0: no name
        return "it is not an address of this machine; choose another host, e.g. 127.0.0.1, or 0.0.0.0 for all addresses"
    if number == errno.EADDRINUSE:
        return f"{os.strerror(number)}; choose another port, or stop what listens there"
    if number == errno.EACCES:
        return f"{os.strerror(number)}; choose a port of 1024 or more"
    return f"{os.strerror(number) if number else error}; choose another port"
