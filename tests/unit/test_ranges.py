"""Ranges in names: what they stand for, and what they are not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from balancer.values.urls import expand_range


@pytest.mark.parametrize(
    ("name", "names"),
    [
        ("", [""]),
        ("h{1..3}", ["h1", "h2", "h3"]),
        ("{7..7}", ["7"]),
        ("{08..10}", ["08", "09", "10"]),
        ("{0..1}", ["0", "1"]),
        ("{1..2}:{8..9}", ["1:8", "1:9", "2:8", "2:9"]),
    ],
)
def test_a_range_stands_for_its_numbers(name, names):
    assert expand_range(name) == names


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        *(
            (wrong, f"has the range {wrong}; a range is two whole numbers, such as {{1..4}}")
            for wrong in ("{}", "{1}", "{1..}", "{1...4}", "{-1..4}", "{1.5..4}", "{a..d}", "{1, 2}")
        ),
        ("{4..1}", "has the range {4..1}, which runs backwards; write {1..4}"),
        *((wrong, "has an unpaired brace; a range is written {1..4}") for wrong in ("h{1..4", "h1..4}", "{{1..4}}")),
        ("{1..10001}", "has the range {1..10001} of 10001 numbers; at most 10000 are allowed"),
        ("{1..101}{1..100}", "stands for 10100 names; at most 10000 are allowed"),
        ("{0..99999999999999999999}", "at most 10000 are allowed"),
    ],
)
def test_what_is_no_range_is_one_line_that_quotes_it(name, reason):
    with pytest.raises(ValueError, match=r"range|brace|names") as caught:
        expand_range(name)
    assert str(caught.value).startswith(f"{name!r} ")
    assert reason in str(caught.value)


_text = st.text(st.characters(exclude_characters="{}"), max_size=8)
_range = st.tuples(st.integers(0, 120), st.integers(0, 8)).map(lambda pair: (pair[0], pair[0] + pair[1]))


@given(
    texts=st.lists(_text, min_size=1, max_size=4),
    ranges=st.lists(_range, min_size=3, max_size=3),
    width=st.integers(0, 4),
)
def test_a_name_put_together_from_ranges_comes_apart_again(texts, ranges, width):
    def padded(number: int) -> str:
        return str(number).zfill(width)

    name, expected = texts[0], [texts[0]]
    for text, (low, high) in zip(texts[1:], ranges, strict=False):
        name += f"{{{padded(low)}..{padded(high)}}}{text}"
        as_wide = width if padded(low).startswith("0") else 0
        expected = [f"{e}{str(n).zfill(as_wide)}{text}" for e in expected for n in range(low, high + 1)]
    assert expand_range(name) == expected


@given(name=st.text(st.sampled_from("{}.0123456789a"), max_size=20))
def test_any_name_expands_or_is_refused_with_a_reason(name):
    try:
        names = expand_range(name)
    except ValueError as error:
        assert repr(name) in str(error)  # noqa: PT017, both ways are right
    else:
        assert names
        assert not set("{}") & set("".join(names))
