"""JSON output: a document as plain data, for programs that read what people read."""

from dataclasses import fields, is_dataclass
from enum import Enum
from typing import Any

from balancer.reporting import document as doc

__all__ = ["document_data"]


def document_data(document: doc.Document) -> dict[str, Any]:
    """Return a document as plain data, for JSON, without its drawings and without the styles of words."""
    found: dict[str, Any] = _data(document)
    return found


def _data(value: Any) -> Any:
    if isinstance(value, doc.Written):
        return value.text
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, tuple):
        return [_data(each) for each in value]
    if is_dataclass(value):
        kind = {"block": value.block} if hasattr(value, "block") else {}
        return kind | {each.name: _data(getattr(value, each.name)) for each in fields(value) if each.name != "svg"}
    return value
