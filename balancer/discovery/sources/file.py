"""File of endpoints: JSON, TOML, or Prometheus' file_sd, read again when it changes."""

import json
import os
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import Field, ValidationError

from balancer.endpoint import Endpoint
from balancer.errors import MissingExtra
from balancer.hookspecs import EndpointTemplate, Source, SourceAnswer, SourceError, hookimpl
from balancer.plugins.extras import require
from balancer.settings.pool import EndpointSettings
from balancer.settings.tables import Settings, problems_of
from balancer.values.options import StrategyOptions

__all__ = ["FileSource"]

_MOST: Final = 16 * 2**20  # bytes
_READS: Final = "it must be .json, .toml, .yaml or .yml"
_OWN: Final = {"__capacity__": int, "__weight__": float, "__group__": int}  # labels of file_sd with a meaning here


class FileSource(Source):
    """The endpoints in a file. A file that cannot be read, or has a mistake, is no answer."""

    name = "file"

    class Options(StrategyOptions):
        """Options.

        Attributes:
            path: the file.
            every_s: seconds between two looks at it.
        """

        path: Annotated[str, Field(min_length=1)]
        every_s: Annotated[float, Field(gt=0)] = 1.0

    options: Options

    def __init__(self, options: Options, template: EndpointTemplate) -> None:
        super().__init__(options, template)
        self._seen: object = None
        self._answer: SourceAnswer | None = None

    def look(self) -> SourceAnswer:
        """Return what the file says. It is read only if it was written or replaced."""
        path = Path(self.options.path)
        try:
            stat = os.stat(path)
            seen = stat.st_ino, stat.st_mtime_ns, stat.st_size
            if seen == self._seen and self._answer is not None:
                return self._answer
            self._seen = self._answer = None
            if stat.st_size > _MOST:
                raise SourceError(f"{path}: it has {stat.st_size} bytes; at most {_MOST} are read")
            text = path.read_text(encoding="utf-8")
        except OSError as error:
            raise SourceError(f"{path}: cannot be read: {error.strerror}") from None
        except UnicodeDecodeError:
            raise SourceError(f"{path}: is not text in UTF-8") from None
        try:
            wanted, gone = _listed(_parsed(text, path.suffix), self.template)
        except SourceError as error:
            raise SourceError(f"{path}: {error}") from None
        self._seen, self._answer = seen, SourceAnswer(wanted, gone, self.options.every_s)
        return self._answer


def _parsed(text: str, suffix: str) -> Any:
    """Return what a text says. Raises SourceError."""
    try:
        if suffix == ".json":
            return json.loads(text)
        if suffix == ".toml":
            return tomllib.loads(text)
        if suffix in (".yaml", ".yml"):
            require("discovery", "a YAML file of endpoints")
            import yaml  # imported here: JSON and TOML need no library

            try:
                return yaml.safe_load(text)
            except yaml.YAMLError:
                raise SourceError("is not YAML") from None
    except (ValueError, RecursionError) as error:
        why = "too deep" if isinstance(error, RecursionError) else str(error)
        raise SourceError(f"is not {suffix[1:].upper()}: {why}") from None
    except MissingExtra as error:
        raise SourceError(str(error)) from None
    raise SourceError(f"has the ending {suffix!r}; {_READS}")


class FileTable(Settings):
    """A file of endpoints: the same `[[endpoints]]` as in a config, and the names of those that leave at once."""

    endpoints: list[EndpointSettings] = Field(default_factory=list)
    gone: list[str] = Field(default_factory=list)


def _listed(data: Any, template: EndpointTemplate) -> tuple[tuple[Endpoint, ...], frozenset[str]]:
    """Return the endpoints and those that are gone. Raises SourceError."""
    if isinstance(data, list) and all(isinstance(each, dict) and "targets" in each for each in data):
        return tuple(found for group in data for found in _of_file_sd(group, template)), frozenset()
    if isinstance(data, list):
        data = {"endpoints": data}
    if not isinstance(data, dict):
        raise SourceError('it must have "endpoints", a list of tables with a url, or be a list of them')
    entries = data.get("endpoints", [])
    if isinstance(entries, list):
        data = {**data, "endpoints": [{"url": each} if isinstance(each, str) else each for each in entries]}
    try:
        table = FileTable.model_validate(data)
    except ValidationError as error:
        first, *more = problems_of(error, FileTable, secret=lambda place, _: "headers" in place)
        raise SourceError(first + (f" (and {len(more)} more mistakes)" if more else "")) from None
    return tuple(found for entry in table.endpoints for found in _of_entry(entry, template)), frozenset(table.gone)


def _of_entry(entry: EndpointSettings, template: EndpointTemplate) -> Iterator[Endpoint]:
    """Yield the endpoints of an entry. What it does not say is as in the template."""
    said = entry.model_fields_set
    for each in entry.specs:
        yield template.endpoint(
            each.url,
            name=each.name,
            labels=each.labels,
            weight=entry.weight,
            capacity=entry.capacity if "capacity" in said else None,
            group=entry.group if "group" in said else None,
            host=entry.host,
            quota=entry.quota,
            headers=each.headers if "headers" in said else None,
        )


def _of_file_sd(group: Mapping[str, Any], template: EndpointTemplate) -> Iterator[Endpoint]:
    """Yield the endpoints of a target group of Prometheus. Raises SourceError."""
    targets, labels = group["targets"], group.get("labels") or {}
    if not isinstance(targets, list) or not isinstance(labels, dict):
        raise SourceError('targets must be a list of texts "host:port", and labels a table')
    said: dict[str, Any] = {}
    for label, kind in _OWN.items():
        if label in labels:
            try:
                said[label.strip("_")] = kind(labels[label])
            except (TypeError, ValueError):
                raise SourceError(f"the label {label} is {labels[label]!r}; it must be a number") from None
    scheme = labels.get("__scheme__", template.scheme)
    shown = [f"{name}={value}" for name, value in labels.items() if not str(name).startswith("__")]
    for target in targets:
        host, found, port = target.rpartition(":") if isinstance(target, str) else ("", "", "")
        if not (host and found and port.isdecimal()):
            raise SourceError(f'the target {target!r} is not "host:port"')
        yield template.endpoint(f"{scheme}://{target}{template.path}", labels=shown, **said)


@hookimpl
def balancer_sources() -> list[type[Source]]:
    """Offer this source."""
    return [FileSource]
