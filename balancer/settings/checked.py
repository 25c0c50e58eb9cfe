"""Settings that are checked where they are made: frozen dataclasses. They need no library.

In a model of pydantic, such settings are made of a table: pydantic asks for `_schema`, and nobody else loads it.

A field has its rule in its annotation: `Annotated[int, rule]`. A rule returns its value, or raises ValueError with what
is allowed (`balancer.values.numbers`). `Literal[...]` and `bool` are their own rules.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from functools import partial, wraps
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeVar, dataclass_transform, get_args, get_origin

from balancer.values.wording import shown, unknown_key

if TYPE_CHECKING:
    from pydantic_core import CoreSchema

__all__ = ["Mistake", "WrongSettings", "none_or", "not_defaults", "settings"]

T = TypeVar("T")
Rule = Callable[[Any], Any]


class Mistake(NamedTuple):
    """A value that cannot be used. `key`: where; "" if it is about several keys, which `words` name."""

    key: str
    found: Any
    words: str
    is_known: bool = True

    def __str__(self) -> str:
        found = f"found {shown(self.found)}: " if self.is_known else ""
        return f"{self.key}: {found}{self.words}" if self.key else self.words


class WrongSettings(ValueError):
    """Settings with mistakes, one a line."""

    def __init__(self, kind: str, mistakes: tuple[Mistake, ...]) -> None:
        super().__init__(kind, mistakes)
        self.mistakes = mistakes

    def __str__(self) -> str:
        return "\n".join(f"{self.args[0]}: {mistake}" for mistake in self.mistakes)


@dataclass_transform(kw_only_default=True, frozen_default=True)
def settings(kind: type[T]) -> type[T]:
    """Make `kind` a frozen dataclass of checked values. All mistakes of one are told at once, as `WrongSettings`.

    If `kind` has a class method `usual`, it gets what was given, and returns it with further defaults, or refuses it.
    """
    made = dataclass(frozen=True, kw_only=True)(kind)
    assign: Callable[..., None] = made.__init__
    usual: Callable[[Mapping[str, Any]], Mapping[str, Any]] = getattr(kind, "usual", dict)
    rules = {field.name: _rule_of(field.type) for field in fields(made)}  # type: ignore[arg-type]  # it is a dataclass

    @wraps(assign)
    def checked(self: T, **given: Any) -> None:
        mistakes = []
        values = {}
        for key, value in given.items():
            try:
                values[key] = rules[key](value)
            except KeyError:
                mistakes.append(Mistake(key, value, unknown_key(key, rules), is_known=False))
            except ValueError as error:
                mistakes.append(Mistake(key, value, str(error)))
        if not mistakes:
            try:
                assign(self, **usual(values))
            except ValueError as error:
                mistakes.append(Mistake("", given, str(error)))
        if mistakes:
            raise WrongSettings(kind.__name__, tuple(mistakes))

    made.__get_pydantic_core_schema__ = classmethod(_schema)  # type: ignore[attr-defined]
    made.__init__ = checked  # type: ignore[method-assign, assignment]
    return made


def _schema(kind: type, source: object, handler: object) -> "CoreSchema":
    from pydantic_core import core_schema

    return core_schema.no_info_plain_validator_function(partial(_of_table, kind))


def _of_table(kind: type, table: object) -> object:
    """Return settings of a table, or of such settings. Each mistake has its own place in a ValidationError."""
    from pydantic_core import InitErrorDetails, PydanticCustomError, ValidationError

    if isinstance(table, kind):
        return table
    if not isinstance(table, Mapping):
        raise PydanticCustomError("model_type", "it must be a table")
    try:
        return kind(**table)
    except WrongSettings as error:
        lines = []
        for key, found, words, is_known in error.mistakes:
            wrong = PydanticCustomError("rule" if key else "value_error", "{words}", {"words": words})
            place = (key,) if key else ()
            lines.append(InitErrorDetails(type=wrong if is_known else "extra_forbidden", loc=place, input=found))
        raise ValidationError.from_exception_data(kind.__name__, lines) from None


def none_or(rule: Rule) -> Rule:
    """Return a rule for None, and for what fits `rule`."""
    return lambda value: None if value is None else rule(value)


def not_defaults(made: Any) -> dict[str, Any]:
    """Return the values of a dataclass that are not its defaults."""
    return {field.name: value for field in fields(made) if (value := getattr(made, field.name)) != field.default}


def _rule_of(hint: Any) -> Rule:
    if hint is bool:
        return _true_or_false
    if get_origin(hint) is Literal:
        return partial(_one_of, get_args(hint))
    rule: Rule = hint.__metadata__[0]
    return rule


def _true_or_false(value: Any) -> Any:
    if not isinstance(value, bool):
        raise ValueError("it must be true or false" + "; leave out the quotes" * isinstance(value, str))
    return value


def _one_of(words: tuple[str, ...], value: Any) -> Any:
    if value not in words:
        raise ValueError(f"it must be {', '.join(map(repr, words[:-1]))} or {words[-1]!r}")
    return value
