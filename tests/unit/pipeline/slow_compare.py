"""The default output validator in decimals alone: slow, and exact. What the quick one must say.

Kept as it was before doubles were asked first; see `balancer.judging.compare`, whose rules these are.
"""

import re
from decimal import MAX_EMAX, MIN_EMIN, Context

from balancer.judging.compare import Comparison, Flags, parse_flags

__all__ = ["Comparison", "Flags", "compare", "parse_flags"]

_is_number = re.compile(rb"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?").fullmatch
_TOKEN = re.compile(rb"\S+")

# Digits kept when two tokens are subtracted: all of both, and twice that many for tokens of different
# magnitude, so that a verdict can only be off where the error equals the tolerance to 60 digits.
_SPARE_DIGITS = 60
_SHOWN_BYTES = 40


_SAME = Comparison(True)


def compare(output: bytes, answer: bytes, flags: Flags) -> Comparison:
    """Say whether `output` is right, given the expected `answer`.

    Never raises, whatever the bytes. Linear in their length; equal outputs cost next to nothing.
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
    """Return the index of the first token that differs; None if all agree."""
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
    """Compare the white space around tokens, which are known to agree."""
    pairs = zip(_TOKEN.split(answer), _TOKEN.split(output), strict=True)
    for index, (want, got) in enumerate(pairs):
        if want != got:
            where = f"white space before token {index + 1}"
            return Comparison(False, f"{where}: expected {_shown(want)}, found {_shown(got)}")
    return _SAME


def _line_of(output: bytes, index: int) -> int:
    """Return the line, from 1, of the token at `index`, which exists."""
    for position, token in enumerate(_TOKEN.finditer(output)):
        if position == index:
            return output.count(b"\n", 0, token.start()) + 1
    raise IndexError(index)


def _shown(token: bytes) -> str:
    cut = token[:_SHOWN_BYTES]
    return repr(cut)[1:] + ("..." if len(token) > len(cut) else "")
