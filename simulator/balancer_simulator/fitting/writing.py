"""TOML output of a scenario or a config, with remarks at its head.

Decides the layout: keys first, tables after them, each list of numbers on one line. It must not know what a key means.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

__all__ = ["as_toml"]


def as_toml(data: Mapping[str, Any], remarks: Iterable[str] = ()) -> str:
    """Return `data` as TOML, below a comment line for each remark. None and empty tables are left out."""
    lines = [f"# {line}".rstrip() for remark in remarks for line in remark.splitlines()]
    return "\n".join([*lines, *([""] if lines else []), *_table(data, ())]) + "\n"


def _table(data: Mapping[str, Any], path: tuple[str, ...]) -> Iterator[str]:
    later = []
    for key, value in data.items():
        if value is None or value == {}:
            continue
        if isinstance(value, Mapping) and path in ((), ("hosts",)):
            later.append((key, [value], False))
        elif path == () and isinstance(value, list) and value and isinstance(value[0], Mapping):
            later.append((key, value, True))
        else:
            yield f"{_key(key)} = {_value(value)}"
    for key, tables, many in later:
        name = ".".join(map(_key, (*path, key)))
        for table in tables:
            nested = all(isinstance(each, Mapping) for each in table.values())
            if not (nested and not many):
                yield from ("", f"[[{name}]]" if many else f"[{name}]")
            yield from _table(table, (*path, key))


def _value(value: Any) -> str:
    if isinstance(value, Mapping):
        return (
            "{ " + ", ".join(f"{_key(key)} = {_value(each)}" for key, each in value.items() if each is not None) + " }"
        )
    if isinstance(value, list):
        return "[" + ", ".join(map(_value, value)) + "]"
    return json.dumps(value, ensure_ascii=False)


def _key(name: str) -> str:
    plain = name.replace("-", "").replace("_", "")
    return name if plain.isalnum() and plain.isascii() else json.dumps(name, ensure_ascii=False)
