"""Output comparison, with the rules of the default output validator of Kattis and ICPC packages. Pure.

Tokens are compared in order; white space only separates them; case is ignored. With a tolerance flag, each token of the
*answer* that is a finite decimal number is compared by value. Three rules differ from `default_validator` of Kattis'
problemtools, each for fewer wrong verdicts:

- Values are decimals, not doubles. As doubles, 2**53 and 2**53 + 1 are equal, so a tolerance of 1e-17 would accept a
  wrong big integer. And 1e400 would not be a number.
- Tokens that are equal as text are equal: "nan" equals "nan", and a number of any size equals itself. Otherwise "nan"
  and "inf" are words, as in problemtools.
- Hexadecimal floats, which C's scanf reads, are words.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import MAX_EMAX, MIN_EMIN, Context, Decimal

__all__ = ["Comparison", "Flags", "compare", "parse_flags"]

_is_number = re.compile(rb"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?").fullmatch
_TOKEN = re.compile(rb"\S+")

_SWITCHES = ("case_sensitive", "space_change_sensitive")
_TOLERANCES = ("float_tolerance", "float_relative_tolerance", "float_absolute_tolerance")

# Digits kept when two tokens are subtracted: all of both, twice as many for tokens of different magnitude.
# So a verdict can only be wrong if the error equals the tolerance to 60 digits.
_SPARE_DIGITS = 60
_SHOWN_BYTES = 40


@dataclass(frozen=True, slots=True)
class Flags:
    """The flags of the default output validator.

    Args:
        case_sensitive: "Yes" and "yes" differ.
        space_change_sensitive: white space must be the same, byte for byte.
        relative: largest allowed error, as a share of the expected value; None: no relative tolerance.
        absolute: largest allowed error; None: no absolute tolerance. One of the two is enough.
    """

    case_sensitive: bool = False
    space_change_sensitive: bool = False
    relative: Decimal | None = None
    absolute: Decimal | None = None

    @property
    def numeric(self) -> bool:
        """Whether numbers are compared by value."""
        return self.relative is not None or self.absolute is not None


@dataclass(frozen=True, slots=True)
class Comparison:
    """The result. `reason` is one line on where the output differs; "" if it is accepted."""

    accepted: bool
    reason: str = ""


_SAME = Comparison(True)


def parse_flags(flags: Sequence[str]) -> Flags:
    """Parse `validator_flags`, split at white space.

    Raises:
        ValueError: a flag is unknown, or a tolerance is missing, negative or not a number.
    """
    switches: dict[str, bool] = {}
    tolerances: dict[str, Decimal] = {}
    rest = iter(flags)
    for flag in rest:
        if flag in _SWITCHES:
            switches[flag] = True
        elif flag in _TOLERANCES:
            tolerances[flag] = _tolerance(flag, next(rest, None))
        else:
            raise ValueError(f"unknown flag {flag!r}; allowed: {', '.join(_SWITCHES + _TOLERANCES)}")
    both = tolerances.get("float_tolerance")
    return Flags(
        **switches,
        relative=tolerances.get("float_relative_tolerance", both),
        absolute=tolerances.get("float_absolute_tolerance", both),
    )


def _tolerance(flag: str, text: str | None) -> Decimal:
    if text is None:
        raise ValueError(f"{flag} has no value; write a number after it, e.g. {flag} 1e-6")
    if not _is_number(text.encode()):
        raise ValueError(f"{flag} is {text!r}; a finite decimal number is allowed, e.g. 1e-6")
    value = _context(len(text)).create_decimal(text)
    if value < 0 or not value.is_finite():
        raise ValueError(f"{flag} is {text}; a finite number from 0 up is allowed, e.g. 1e-6")
    return value


def compare(output: bytes, answer: bytes, flags: Flags) -> Comparison:
    """Compare `output` with the expected `answer`.

    Never raises, for any bytes. Time is linear in their length; equal outputs take almost none.
    """
    if output == answer:
        return _SAME
    expected, found = answer.split(), output.split()
    if expected != found:
        difference = _differing_token(expected, found, flags)
        if difference is not None:
            return _wrong_token(difference, expected, found, output)
    return _compare_spaces(output, answer) if flags.space_change_sensitive else _SAME


def _differing_token(expected: list[bytes], found: list[bytes], flags: Flags) -> int | None:
    context = _context(_SPARE_DIGITS)
    for index, (want, got) in enumerate(zip(expected, found, strict=False)):
        if want != got and not _agree(want, got, flags, context):
            return index
    return None if len(expected) == len(found) else min(len(expected), len(found))


def _agree(want: bytes, got: bytes, flags: Flags, context: Context) -> bool:
    if flags.numeric and _is_number(want):
        return _is_number(got) is not None and _close(want, got, flags, context)
    return not flags.case_sensitive and want.lower() == got.lower()


def _close(want: bytes, got: bytes, flags: Flags, context: Context) -> bool:
    if len(want) + len(got) > _SPARE_DIGITS:
        context = _context(len(want) + len(got))
    wanted, given = context.create_decimal(want.decode()), context.create_decimal(got.decode())
    if not (wanted.is_finite() and given.is_finite()):  # an exponent beyond 10**18
        return False
    error = context.abs(context.subtract(wanted, given))
    if flags.absolute is not None and error <= flags.absolute:
        return True
    return flags.relative is not None and error <= context.multiply(flags.relative, context.abs(wanted))


def _context(digits: int) -> Context:
    return Context(prec=2 * digits + _SPARE_DIGITS, Emax=MAX_EMAX, Emin=MIN_EMIN, traps=[])


def _wrong_token(index: int, expected: list[bytes], found: list[bytes], output: bytes) -> Comparison:
    if index >= len(found):
        missing = f"expected {_shown(expected[index])} as token {index + 1}, found the end of the output"
        return Comparison(False, missing)
    where = f"token {index + 1} (line {_line_of(output, index)})"
    if index >= len(expected):
        return Comparison(False, f"{where}: expected the end of the output, found {_shown(found[index])}")
    return Comparison(False, f"{where}: expected {_shown(expected[index])}, found {_shown(found[index])}")


def _compare_spaces(output: bytes, answer: bytes) -> Comparison:
    pairs = zip(_TOKEN.split(answer), _TOKEN.split(output), strict=True)
    for index, (want, got) in enumerate(pairs):
        if want != got:
            where = f"white space before token {index + 1}"
            return Comparison(False, f"{where}: expected {_shown(want)}, found {_shown(got)}")
    return _SAME


def _line_of(output: bytes, index: int) -> int:
    for position, token in enumerate(_TOKEN.finditer(output)):
        if position == index:
            return output.count(b"\n", 0, token.start()) + 1
    raise IndexError(index)


def _shown(token: bytes) -> str:
    cut = token[:_SHOWN_BYTES]
    return repr(cut)[1:] + ("..." if len(token) > len(cut) else "")
