"""Base models of TOML tables: strict, frozen, with errors of one line that name the key."""

from collections.abc import Callable, Iterator
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from balancer.errors import ConfigError
from balancer.values.wording import describe

__all__ = ["CheckedInPython", "Place", "Settings", "key_of", "problems_of", "read_toml"]

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
            try:
                return super().__call__(*args, **values)
            except ValidationError as error:
                lines = problems_of(error, cls)
            raise ValueError("\n".join(f"{cls.__name__}: {line}" for line in lines))


class CheckedInPython(Settings, metaclass=_Made):  # type: ignore[metaclass]  # mypy takes none that is computed
    """Base of the tables that Python code makes too. A mistake there is a ValueError, with a line for each."""


def _data(value: Any) -> Any:
    if isinstance(value, Settings):
        return value.to_data()
    if isinstance(value, dict):
        return {key: _data(item) for key, item in value.items()}
    return [_data(item) for item in value] if isinstance(value, list) else value


def read_toml(path: str | PathLike[str]) -> dict[str, Any]:
    """Read the TOML file at `path`.

    Raises:
        ConfigError: it cannot be read, or is not TOML.
    """
    import tomllib  # imported here: only for files

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
        known = {name for model in within for name in model.model_fields}
        lines.append(
            f"{key_of(place)}: {describe(details, known, secret=_is_secret(details) or secret(place, details))}"
        )
    return lines


def _is_secret(details: ErrorDetails) -> bool:
    return details["type"] == "credentials"  # of a URL, in any file


def key_of(place: Place) -> str:
    """Return a place as people write it: endpoints[0].url."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place).removeprefix(".")


def _located(loc: Place, root: type[BaseModel]) -> tuple[Place, list[type[BaseModel]]]:
    """Return the place without what pydantic adds (the tags of unions), and the models that may contain it."""
    place: list[str | int] = []
    models = [root]
    within = models
    named = False  # True if the next part is a name from the file, e.g. of a quota
    for part in loc:
        if named:
            place.append(part)
            named = False
            continue
        tagged = [model for model in models if _tag_of(model) == part]
        if tagged and not any(part in model.model_fields for model in models):
            models = tagged
            continue
        place.append(part)
        if isinstance(part, str):
            within = models
            fields = [model.model_fields[part] for model in models if part in model.model_fields]
            models = [model for field in fields for model in _models_in(field.annotation)]
            named = any(get_origin(field.annotation) is dict for field in fields)
    return tuple(place), within


def _tag_of(model: type[BaseModel]) -> object:
    field = model.model_fields.get("kind")
    return get_args(field.annotation)[0] if field and _is_tag(field) else None


def _is_tag(field: FieldInfo) -> bool:
    return get_origin(field.annotation) is Literal and len(get_args(field.annotation)) == 1


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from _models_in(argument)
