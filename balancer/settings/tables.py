"""Base models of TOML tables: strict, frozen, with errors of one line that name the key.

The tables of rules are no models, and check themselves: see `balancer.settings.checked`.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, get_args, get_origin

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from balancer.errors import ConfigError
from balancer.settings.checked import not_defaults, settings
from balancer.settings.rules import HealthSettings
from balancer.values.wording import describe

__all__ = [
    "CheckedInPython",
    "EnabledHealth",
    "HealthSection",
    "Place",
    "Settings",
    "key_of",
    "keys_of",
    "problems_of",
    "read_toml",
    "tables_in",
]

Place = tuple[str | int, ...]  # the path of a value, e.g. ("endpoints", 0, "url")


class Settings(BaseModel):
    """Base of every table of a file: an unknown key is an error, and "4" is not 4."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, hide_input_in_errors=True)

    def to_data(self) -> dict[str, Any]:
        """Return plain data from which an equal table can be made: the values that are not defaults, and the kind."""
        fields = type(self).model_fields
        return {
            name: _data(value)
            for name, value in self
            if _is_tag(fields[name]) or value != fields[name].get_default(call_default_factory=True)
        }


if TYPE_CHECKING:
    _Made = type(BaseModel)
else:

    class _Made(type(BaseModel)):
        """Checks settings that are made from keyword arguments. Tables that are read from a file do not pass here."""

        def __call__(cls, *args, **values):
            if args:
                first = next(name for name, field in cls.model_fields.items() if not _is_tag(field))
                raise TypeError(f"{cls.__name__}: give each value by its name: {cls.__name__}({first}={args[0]!r})")
            try:
                return super().__call__(**values)
            except ValidationError as error:
                lines = problems_of(error, cls)
            raise ValueError("\n".join(f"{cls.__name__}: {line}" for line in lines))


class CheckedInPython(Settings, metaclass=_Made):  # type: ignore[metaclass]  # mypy takes none that is computed
    """Base of the tables that Python code makes too. A mistake there is a ValueError, with a line for each."""


@settings
class HealthSection(HealthSettings):
    """`[health]` of a file: the settings of health, and those of pings beside the calls. A pool gets their results.

    Attributes:
        ping: "off", "ping" (`/v1/ping`) or "program" (a program is run).
        ping_every_s: seconds between two pings of an endpoint; it is no key.
        enabled: False: no endpoint is ever taken out of service for its failures.
    """

    ping: Literal["off", "ping", "program"] = "off"
    ping_every_s: ClassVar = 5.0
    enabled: bool = True

    @property
    def conclusive(self) -> bool:
        """True if a good ping shows that an endpoint works, as it ran a program."""
        return self.ping == "program"


def _section(given: object) -> object:
    if isinstance(given, HealthSettings) and not isinstance(given, HealthSection):
        return HealthSection(**vars(given))
    return given


def _if_enabled(section: HealthSection | None) -> HealthSection | None:
    return section if section and section.enabled else None


# The settings; None if they are absent or not enabled.
EnabledHealth = Annotated[HealthSection | None, BeforeValidator(_section), AfterValidator(_if_enabled)]


def _data(value: Any) -> Any:
    if isinstance(value, Settings):
        return value.to_data()
    if is_dataclass(value):
        return not_defaults(value)
    if isinstance(value, dict):
        return {key: _data(item) for key, item in value.items()}
    return [_data(item) for item in value] if isinstance(value, list) else value


def read_toml(path: str | PathLike[str]) -> dict[str, Any]:
    """Read the TOML file at `path`.

    Raises:
        ConfigError: it cannot be read, or is not TOML.
    """
    import tomllib  # imported here: only for files

    if not isinstance(path, str | PathLike):
        raise ConfigError(f"{type(path).__name__} is no config; give the path of a TOML file")
    try:
        return tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}; give the path of a TOML file") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: is not TOML: {error}") from None


def problems_of(
    error: ValidationError, root: type[BaseModel], *, secret: Callable[[Place, ErrorDetails], bool] = lambda *_: False
) -> list[str]:
    """Return a line for each thing to fix: key, what was found, what is allowed.

    Args:
        error: from the validation of `root`.
        secret: returns whether the value at a place must not be shown.
    """
    lines = []
    for details in error.errors():
        place, within = _located(details["loc"], root)
        if not place:  # an error about several keys names them itself
            lines += details["msg"].removeprefix("Value error, ").splitlines()
            continue
        known = {name for model in within for name in keys_of(model)}
        hidden = details["type"] == "credentials" or secret(place, details)  # of a URL, in any file
        lines.append(f"{key_of(place)}: {describe(details, known, secret=hidden)}")
    return lines


def key_of(place: Place) -> str:
    """Return a place as people write it: endpoints[0].url."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place).removeprefix(".")


def keys_of(table: type) -> Mapping[str, FieldInfo]:
    """Return the keys of a table, a model or checked settings, each with its default and its type."""
    if issubclass(table, BaseModel):
        return table.model_fields
    return {field.name: FieldInfo.from_annotated_attribute(field.type, field.default) for field in fields(table)}  # type: ignore[arg-type]


def _located(loc: Place, root: type[BaseModel]) -> tuple[Place, list[type]]:
    """Return the place without what pydantic adds (the tags of unions), and the models that may contain it."""
    place: list[str | int] = []
    models: list[type] = [root]
    within = models
    named = False  # True if the next part is a name from the file, e.g. of a quota
    for part in loc:
        if named:
            place.append(part)
            named = False
            continue
        tagged = [model for model in models if _tag_of(model) == part]
        if tagged and not any(part in keys_of(model) for model in models):
            models = tagged
            continue
        place.append(part)
        if isinstance(part, str):
            within = models
            keys = [keys_of(model)[str(part)] for model in models if part in keys_of(model)]
            models = [model for key in keys for model in tables_in(key.annotation)]
            named = any(get_origin(key.annotation) is dict for key in keys)
    return tuple(place), within


def _tag_of(model: type) -> object:
    field = keys_of(model).get("kind")
    return get_args(field.annotation)[0] if field and _is_tag(field) else None


def _is_tag(field: FieldInfo) -> bool:
    return get_origin(field.annotation) is Literal and len(get_args(field.annotation)) == 1


def tables_in(annotation: Any) -> Iterator[type]:
    """Yield the tables that a type names."""
    if isinstance(annotation, type) and (issubclass(annotation, BaseModel) or is_dataclass(annotation)):
        yield annotation
    for argument in get_args(annotation):
        yield from tables_in(argument)
