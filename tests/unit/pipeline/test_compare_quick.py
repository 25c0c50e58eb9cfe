"""What doubles tell of a comparison is what decimals tell: the quick way beside the slow one, on random tokens."""

from decimal import Decimal

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from balancer.judging.compare import Nearness, compare, parse_flags
from tests.unit.pipeline import slow_compare

WORDS = [
    b"nan", b"NaN", b"-nan", b"inf", b"-inf", b"Infinity", b"1e400", b"-1e400", b"1E400", b"1e-400", b"0x1p3", b"0X10",
    b"1_0", b"1__0", b"_1", b"10", b"1e1", b"1E1", b"1.", b".1", b".", b"+", b"-", b"+-1", b"1e", b"e5", b"--1", b"1f",
    b"1d", b"1j", b"1L", b"yes", b"YES", b"\xd9\xa1", "\u0661".encode(), "\uff11".encode(), b"1\x00", b"\x1c1",
    b"1\xa0", b"0", b"-0", b"+0", b"-0.0",
    b"0e999999999999999999999", b"1e99999999999999999999", b"1e-99999999999999999999",
    b"1e308", b"1.7976931348623157e308", b"1.7976931348623158e308", b"-1.7976931348623157e308", b"1.8e308", b"9" * 309,
    b"4.9e-324", b"5e-324", b"2e-324", b"2.2250738585072014e-308", b"9007199254740993", b"9007199254740992",
    b"0" * 80 + b"1", b"1" + b"0" * 80, b"1." + b"0" * 80 + b"1", b"123456789" * 30, b"-" + b"123456789" * 30,
]  # fmt: skip
TOLERANCES = [
    "0", "1e-17", "1e-9", "1e-6", "0.5", "1", "2", "1e9", "1e300", "1e301", "1e308", "1.7976931348623157e308", "1e400",
    "1e-320", "1e-400", "0.1", "1e-15", "2.220446049250313e-16",
]  # fmt: skip
FLAGS = ["", "case_sensitive", "space_change_sensitive", "case_sensitive space_change_sensitive"]
SPACES = [b" ", b"\n", b"  ", b"\t", b"\r\n", b"\x0b\x0c"]

digits = st.text("0123456789", min_size=1, max_size=25)
numbers = st.one_of(
    st.builds(lambda s, a, b: f"{s}{a}.{b}".encode(), st.sampled_from(["", "-", "+"]), digits, digits),
    st.builds(lambda s, a, e: f"{s}{a}e{e}".encode(), st.sampled_from(["", "-"]), digits, st.integers(-340, 340)),
    st.floats(allow_nan=True).map(lambda x: repr(x).encode()),
    st.integers().map(lambda x: str(x).encode()),
)
tokens = st.one_of(st.sampled_from(WORDS), numbers, st.binary(min_size=1, max_size=4))
tolerances = st.one_of(
    st.sampled_from(TOLERANCES), st.floats(0, 1e308).map(repr), st.builds(lambda e: f"1e{e}", st.integers(-330, 310))
)


@st.composite
def flags_of(draw: st.DrawFn) -> str:
    told = [draw(st.sampled_from(FLAGS))]
    for name in ("float_tolerance", "float_absolute_tolerance", "float_relative_tolerance"):
        if draw(st.booleans()):
            told.append(f"{name} {draw(tolerances)}")
    return " ".join(told)


@st.composite
def nudged(draw: st.DrawFn, token: bytes, flags: str) -> bytes:
    """A token that is about as far from another one as the tolerance, one way or the other."""
    told = slow_compare.parse_flags(flags.split())
    allowed = told.absolute if told.absolute is not None else told.relative
    if allowed is None or not slow_compare._is_number(token) or len(token) > 40:
        return draw(st.sampled_from([token, token.upper(), token.lower(), token + b"0", b"+" + token]))
    value = slow_compare._context(60).create_decimal(token.decode())
    if not value.is_finite() or abs(value.adjusted()) > 400:
        return token
    exact = slow_compare._context(400)
    step = allowed if told.absolute is not None else exact.multiply(allowed, abs(value))
    share = Decimal(
        draw(st.sampled_from(["1", "-1", "0.9999999999999999", "1.0000000000000001", "0.999", "1.001", "0"]))
    )
    return str(exact.add(value, exact.multiply(step, share))).encode()


@st.composite
def pairs(draw: st.DrawFn) -> tuple[bytes, bytes, str]:
    flags = draw(flags_of())
    answer = draw(st.lists(tokens, max_size=8))
    output = [draw(st.one_of(st.just(token), nudged(token, flags), tokens)) for token in answer]
    output += draw(st.lists(tokens, max_size=1))
    between = st.sampled_from(SPACES)
    return (
        b"".join(token + draw(between) for token in output),
        b"".join(token + draw(between) for token in answer),
        flags,
    )


@settings(max_examples=300, deadline=None)
@given(pairs())
@example((b"1_0 2.5", b"10 2.5000001", "float_tolerance 1e-3"))
@example((b"0e999999999999999999999 1e-99999999999999999999", b"0 0.0", "float_tolerance 1"))
@example((b"0 0.0", b"0e999999999999999999999 1e-99999999999999999999", "float_tolerance 1"))
@example((b"inf", b"1e400", "float_tolerance 1e9"))
@example((b"1e308", b"-1e308", "float_absolute_tolerance 1.7976931348623157e308"))
@example((b"1.7976931348623157e308", b"-1.7976931348623157e308", "float_relative_tolerance 1.9999999999999999"))
def test_the_quick_way_says_what_the_slow_one_says(pair: tuple[bytes, bytes, str]) -> None:
    output, answer, flags = pair
    quick = compare(output, answer, parse_flags(flags.split()))
    slow = slow_compare.compare(output, answer, slow_compare.parse_flags(flags.split()))
    assert (quick.accepted, quick.reason) == (slow.accepted, slow.reason)


@pytest.mark.parametrize("place", [0, 1022, 1023, 1024, 1025, 2047, 2048, 4999])
def test_the_first_token_that_differs_is_named_wherever_it_stands(place: int) -> None:
    answer = [b"%d.0" % number for number in range(5000)]
    output = [b"%d.00000001" % number for number in range(5000)]
    output[place] = b"x"
    output[4999] = b"y"
    said = compare(b"\n".join(output), b"\n".join(answer), parse_flags(["float_tolerance", "1e-6"]))
    found = "x" if place != 4999 else "y"
    assert said.reason == f"token {place + 1} (line {place + 1}): expected '{place}.0', found '{found}'"


def test_numbers_that_are_clearly_close_need_no_decimals() -> None:
    near = Nearness(Decimal("1e-6"), Decimal("1e-6"))
    wanted = [float(number) for number in range(1000)]
    assert near.differing(wanted, [number + 1e-9 for number in wanted]) == []
    assert near.differing([1.0, 2.0, float("nan"), float("inf")], [1.0, 2.1, float("nan"), float("inf")]) == [1, 2, 3]
