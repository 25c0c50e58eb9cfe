"""`balancer init`: a commented config with every section, key and default; or an example that runs as it is.

Keys, defaults and meanings are read from the settings classes and their docstrings.
"""

import inspect
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, get_args, get_origin
from zipfile import ZipFile

from pydantic.fields import FieldInfo

from balancer.errors import ConfigError
from balancer.settings.config import Config
from balancer.settings.tables import keys_of, tables_in

__all__ = ["commented_config", "write_config", "write_example"]

_WIDE: Final = 100
_LOCAL: Final = "local://{1..2}"
_MODEL_SERVER: Final = "http://10.0.0.{1..2}:8000/v1/"
_EXAMPLE: Final = Path(__file__).with_name("example.zip")  # packed by examples/start/build.py
_TOP: Final = """\
# A config of balancer. `balancer check` says what it would run and pings the endpoints; `balancer run` judges the
# problems of [pipeline]. Every key below is shown with its default: take the "# " away from the ones to change.
# ${NAME} in a text stands for an environment variable, and {1..4} in a URL for several endpoints.
"""


def write_config(file: Path, *, force: bool = False) -> None:
    """Write a commented config to `file`.

    Raises:
        ConfigError: the file exists and `force` is False, or it cannot be written.
    """
    try:
        with file.open("w" if force else "x", encoding="utf-8") as out:
            out.write(commented_config())
    except FileExistsError:
        raise ConfigError(f"{file}: already exists; give another name, or replace it with --force") from None
    except OSError as error:
        raise ConfigError(f"{file}: cannot be written: {error.strerror}; give another name") from None


def write_example(folder: Path, *, force: bool = False) -> None:
    """Write two problems, four rows with a scripted model, a scenario and their configs to `folder`.

    Raises:
        ConfigError: the folder exists and `force` is False, or it cannot be written.
    """
    if folder.exists() and not force:
        raise ConfigError(f"{folder}: already exists; give another folder, or write over its files with --force")
    try:
        with ZipFile(_EXAMPLE) as archive:
            archive.extractall(folder)
    except OSError as error:
        raise ConfigError(f"{folder}: cannot be written: {error.strerror}; give another folder") from None


def commented_config() -> str:
    """Return the text of the config. All keys are comments, except the URL of two local endpoints."""
    return "\n".join([_TOP, *(line for name, field in keys_of(Config).items() for line in _section(name, field))])


def _section(name: str, section: FieldInfo) -> Iterator[str]:
    model = _model_of(section)
    about = (inspect.getdoc(model) or "").splitlines()[0] if model else _meanings(Config)[name]
    required = [key for key, field in keys_of(model).items() if field.is_required()] if model else []
    heading = f"[[{name}]]" if name == "endpoints" else f"[{name}]"
    if model and get_origin(section.annotation) is dict:  # a table for each name, so one is a comment
        yield from _comment(about.replace("`", ""))
        yield f"# [{name}.NAME]"
        yield from _keys(model)
        yield ""
        yield from _tables_below(f"{name}.NAME", model)
        return
    yield from _comment(about.replace("`", ""))
    yield heading if not required or name == "endpoints" else f"# {heading}"
    yield from _keys(model) if model else ['# "*" = 4']
    yield ""
    if model:
        yield from _tables_below(name, model)


def _tables_below(name: str, model: type) -> Iterator[str]:
    """Yield the tables within a table. All lines are comments, as the heading is one."""
    for key, field in keys_of(model).items():
        below = _model_of(field)
        if below is not None:
            several = get_origin(field.annotation) is list
            yield from _comment(_meanings(model)[key])
            yield f"# [[{name}.{key}]]" if several else f"# [{name}.{key}]"
            keys = _keys(below, url=_MODEL_SERVER if name == "llm" else _LOCAL)
            yield from (line if line.startswith("#") else f"# {line}" for line in keys)
            yield ""
            yield from _tables_below(f"{name}.{key}", below)


def _model_of(field: FieldInfo) -> type | None:
    return next(tables_in(field.annotation), None)


def _keys(model: type, *, url: str = _LOCAL) -> Iterator[str]:
    meanings = _meanings(model)
    for key, field in keys_of(model).items():
        if _model_of(field) is not None:
            continue  # a table of its own
        yield from _comment(meanings.get(key, ""), indent="#   ")
        if key == "url":
            yield f'url = "{url}"'
        else:
            yield f"# {key} = {_default(key, field)}"


def _default(key: str, field: FieldInfo) -> str:
    if field.is_required():
        return _toml(field.examples[0] if field.examples else key)
    value = field.get_default(call_default_factory=True)
    return f"{_example(field.annotation)}  # absent by default" if value is None else _toml(value)


def _example(annotation: Any) -> str:
    """Return an example value of an optional key, because TOML has no null."""
    kinds = {kind for part in (annotation, *get_args(annotation)) for kind in (part, *get_args(part))}
    if words := [kind for kind in kinds if isinstance(kind, str)]:  # of a Literal
        return f'"{min(words)}"'
    if any(get_origin(kind) is list for kind in kinds):
        return '["text"]'
    if float in kinds:
        return "30.0"
    return "100" if int in kinds else '"text"'


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, list):
        return f"[{', '.join(map(_toml, value))}]"
    return "{}" if value == {} else str(value)


def _comment(words: str, *, indent: str = "# ") -> Iterator[str]:
    yield from textwrap.wrap(words, _WIDE, initial_indent=indent, subsequent_indent=indent)


def _meanings(model: type) -> dict[str, str]:
    """Return the meaning of each attribute, from the docstrings of `model` and its base classes."""
    found: dict[str, str] = {}
    for kind in reversed(model.__mro__):
        text = inspect.cleandoc(kind.__doc__ or "")
        _, _, attributes = text.partition("\nAttributes:\n")
        for entry in re.split(r"\n(?= {4}\S)", "\n" + attributes):
            names, colon, words = entry.strip().partition(": ")
            if colon and re.fullmatch(r"\w+(, \w+)*", names):
                found |= dict.fromkeys(names.split(", "), " ".join(words.replace("`", "").split()))
    return found
