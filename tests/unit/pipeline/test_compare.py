"""The default output validator: its rules, its reasons, and a tolerance oracle that works with fractions."""

import random
import time
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from balancer.judging.compare import Comparison, Flags, compare, parse_flags

PLAIN = Flags()


def flags(text: str) -> Flags:
    return parse_flags(text.split())


@pytest.mark.parametrize(
    ("output", "answer", "given_flags"),
    [
        (b"", b"", ""),
        (b"1 2\n", b"1\n\n 2", ""),
        (b"YES", b"yes", ""),
        (b" \t\r\n", b"", ""),
        (b"5", b"5.0", "float_tolerance 0"),
        (b"nan", b"NaN", "float_tolerance 1e-6"),
        (b"INF", b"inf", "float_tolerance 1e-6"),
        (b"1e400", b"1.0000001e400", "float_tolerance 1e-6"),
        (b"90071992547409931", b"90071992547409932", "float_tolerance 1e-6"),
        (b"a b\n", b"a b\n", "case_sensitive space_change_sensitive"),
        (b"A b\n", b"a b\n", "space_change_sensitive"),
        (b"0e999999999999999999999 1e-99999999999999999999", b"0 0.0", "float_tolerance 1"),
        (b"0 0.0", b"0e999999999999999999999 1e-99999999999999999999", "float_tolerance 1"),
        (b"-INF 1.", b"-inf .1e1", "float_tolerance 0"),
        (b"1e308", b"1.7976931348623158e308", "float_absolute_tolerance 1e308"),
        (b"1e-320", b"0", "float_absolute_tolerance 1e-320"),
    ],
)
def test_accepts(output, answer, given_flags):
    assert compare(output, answer, flags(given_flags)) == Comparison(True, "")


@pytest.mark.parametrize(
    ("output", "answer", "given_flags", "reason"),
    [
        (b"1 2\n6\n", b"1 2\n5\n", "", "token 3 (line 2): expected '5', found '6'"),
        (b"1", b"1 2", "", "expected '2' as token 2, found the end of the output"),
        (b"", b"x", "", "expected 'x' as token 1, found the end of the output"),
        (b"1\n2", b"1", "", "token 2 (line 2): expected the end of the output, found '2'"),
        (b"Yes", b"yes", "case_sensitive", "token 1 (line 1): expected 'yes', found 'Yes'"),
        (b"1.0", b"1", "", "token 1 (line 1): expected '1', found '1.0'"),
        (b"1.1", b"1", "float_tolerance 1e-3", "token 1 (line 1): expected '1', found '1.1'"),
        (b"one", b"1", "float_tolerance 1e-3", "token 1 (line 1): expected '1', found 'one'"),
        (b"nan", b"1", "float_tolerance 1e9", "token 1 (line 1): expected '1', found 'nan'"),
        (b"inf", b"1", "float_tolerance 1e9", "token 1 (line 1): expected '1', found 'inf'"),
        (b"0x1", b"1", "float_tolerance 1e-3", "token 1 (line 1): expected '1', found '0x1'"),
        (b"1_0", b"10", "float_tolerance 1e-3", "token 1 (line 1): expected '10', found '1_0'"),
        # The expected value decides what is compared by value: "1.0" is no number where a word is expected.
        (b"x1.0", b"x1", "float_tolerance 1e-3", "token 1 (line 1): expected 'x1', found 'x1.0'"),
        # A double cannot tell these two apart.
        (
            b"9007199254740993",
            b"9007199254740992",
            "float_tolerance 1e-17",
            "token 1 (line 1): expected '9007199254740992', found '9007199254740993'",
        ),
        (b"1e99999999999999999999", b"1", "float_tolerance 1", "token 1 (line 1): expected '1', found '1e999999999..."),
        (b"1_0 2.5", b"10 2.5000001", "float_tolerance 1e-3", "token 1 (line 1): expected '10', found '1_0'"),
        (b"inf", b"1e400", "float_tolerance 1e9", "token 1 (line 1): expected '1e400', found 'inf'"),
        (b"1e308", b"-1e308", "float_absolute_tolerance 1.7976931348623157e308", "token 1 (line 1): expected '-1e308'"),
        (b"-inf", b"inf", "float_tolerance 1", "token 1 (line 1): expected 'inf', found '-inf'"),
        (b"1", b"nan", "float_tolerance 1", "token 1 (line 1): expected 'nan', found '1'"),
        (b"1e-319", b"0", "float_absolute_tolerance 1e-320", "token 1 (line 1): expected '0', found '1e-319'"),
        ("\u0661".encode(), b"1", "float_tolerance 1", "token 1 (line 1): expected '1', found '\\xd9\\xa1'"),
        (b"a  b", b"a b", "space_change_sensitive", "white space before token 2: expected ' ', found '  '"),
        (b"a\n", b"a", "space_change_sensitive", "white space before token 2: expected '', found '\\n'"),
        (b"\xff\x00", b"y", "", "token 1 (line 1): expected 'y', found '\\xff\\x00'"),
        (b"z" * 99, b"y", "", f"token 1 (line 1): expected 'y', found '{'z' * 40}'..."),
    ],
)
def test_rejects_and_says_where(output, answer, given_flags, reason):
    found = compare(output, answer, flags(given_flags))
    assert not found.accepted
    assert found.reason.startswith(reason.removesuffix("..."))


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("float_tolerence 1e-6", "unknown flag 'float_tolerence'; allowed: case_sensitive, space_change_sensitive, "),
        ("float_tolerance", "float_tolerance has no value; write a number after it, e.g. float_tolerance 1e-6"),
        ("float_tolerance -1", "float_tolerance is -1; a finite number from 0 up is allowed, e.g. 1e-6"),
        ("float_tolerance nan", "float_tolerance is 'nan'; a finite decimal number is allowed, e.g. 1e-6"),
        ("float_absolute_tolerance x", "float_absolute_tolerance is 'x'; a finite decimal number is allowed"),
        ("float_tolerance 1e99999999999999999999", "float_tolerance is 1e99999999999999999999; a finite number"),
    ],
)
def test_bad_flags_are_one_line(text, line):
    with pytest.raises(ValueError, match=r"flag|float") as caught:
        parse_flags(text.split())
    assert str(caught.value).startswith(line)
    assert "\n" not in str(caught.value)


anything = st.binary(max_size=200) | st.text("0123456789.eE+-naif \n\x00", max_size=60).map(str.encode)
any_flags = st.sampled_from(
    ["", "case_sensitive", "space_change_sensitive", "float_tolerance 1e-6", "float_relative_tolerance 0.5"]
).map(flags)


@given(anything, anything, any_flags)
def test_never_raises_and_is_reflexive(output, answer, given_flags):
    found = compare(output, answer, given_flags)
    assert found.accepted == (found.reason == "")
    assert "\n" not in found.reason
    assert compare(output, output, given_flags).accepted


@given(anything, any_flags)
def test_space_and_case_do_not_matter_unless_asked_for(answer, given_flags):
    if not given_flags.space_change_sensitive:
        assert compare(b" \n" + b"\t".join(answer.split()), answer, given_flags).accepted
    if not (given_flags.case_sensitive or given_flags.space_change_sensitive):
        assert compare(answer.upper(), answer, given_flags).accepted


numbers = st.from_regex(rb"[+-]?([0-9]{1,25}\.?[0-9]{0,20}|\.[0-9]{1,20})([eE][+-]?[0-9]{1,2})?", fullmatch=True)
tolerances = st.sampled_from(["0", "1e-9", "1e-6", "0.001", "0.5", "3"])


@given(numbers, numbers, st.integers(-3, 3), tolerances, tolerances)
def test_tolerance_agrees_with_fractions(number, other, nudge, relative, absolute):
    """The oracle works with exact fractions; half of the outputs lie within a hair of the tolerance."""
    tolerant = flags(f"float_relative_tolerance {relative} float_absolute_tolerance {absolute}")
    answer = Fraction(number.decode())
    for output in (other.decode(), _decimal(answer + Fraction(absolute) + Fraction(nudge, 10**40))):
        error = abs(Fraction(output) - answer)
        allowed = error <= Fraction(absolute) or error <= Fraction(relative) * abs(answer)
        assert compare(output.encode(), number, tolerant).accepted == allowed


def _decimal(value: Fraction) -> str:
    """Write a fraction of tenths in full."""
    digits = 130
    scaled = value * 10**digits
    assert scaled.denominator == 1
    whole, rest = divmod(abs(scaled.numerator), 10**digits)
    return f"{'-' if value < 0 else ''}{whole}.{rest:0{digits}}"


def test_many_numbers_take_a_time_that_grows_with_them():
    """Some 0.2 s of CPU for 20 000 numbers that all differ within the tolerance; the limit is generous."""
    rng = random.Random(1)
    values = [rng.uniform(-1e6, 1e6) for _ in range(20_000)]
    answer = "\n".join(f"{value:.3f}" for value in values).encode()
    output = "\n".join(f"{value:.6f}" for value in values).encode()
    started = time.thread_time()
    assert compare(output, answer, flags("float_tolerance 1e-3")).accepted
    assert compare(answer, answer, PLAIN).accepted
    assert not compare(answer + b" 1", answer, PLAIN).accepted
    assert time.thread_time() - started < 5


def test_huge_numbers_are_compared_exactly():
    digits = b"7" * 100_000
    assert compare(digits + b".0", digits, flags("float_tolerance 0")).accepted
    assert not compare(digits[:-1] + b"8", digits, flags("float_absolute_tolerance 0.5")).accepted


@pytest.mark.parametrize("place", [0, 1024, 4999])
def test_the_first_token_that_differs_is_named_wherever_it_stands(place):
    answer = [b"%d.0" % number for number in range(5000)]
    output = [b"%d.00000001" % number for number in range(5000)]
    output[place] = b"x"
    output[4999] = b"y"
    said = compare(b"\n".join(output), b"\n".join(answer), parse_flags(["float_tolerance", "1e-6"]))
    found = "x" if place != 4999 else "y"
    assert said.reason == f"token {place + 1} (line {place + 1}): expected '{place}.0', found '{found}'"
