"""What is read out of the text of validators, and what is made of it together with known inputs."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from balancer.pipeline.generators.learn.bounds import Alphabet, Bounds, Hints
from balancer.pipeline.generators.learn.source_tokens import lex
from balancer.pipeline.generators.learn.validator_text import read_validators
from balancer.pipeline.packages.grammars import checktestdata_program
from balancer.program import Program
from tests.unit.pipeline.knowing import known


def python(source: str) -> Hints:
    return read_validators([Program("python", source)])


def cpp(source: str) -> Hints:
    return read_validators([Program("cpp", source)])


@pytest.mark.parametrize(
    ("source", "values"),
    [
        ("2 * 10**5", [200_000]),
        ("200_000", [200_000]),
        ("1 << 20", [2**20]),
        ("2**31 - 1", [2**31 - 1]),
        ("-10**18", [-(10**18)]),
        ("1e-9", []),
        ("0x7fffffff", [2**31 - 1]),
        ("2 * n", [2]),
        ("# 5\n6", [6]),
        ("'7' + \"8\"", []),
        ('"""9"""\n10', [10]),
        ("MAX = 3 * 10**5\nx <= MAX", [300_000, 300_000]),
        ("2 ** 99999", [2, 99999]),
        ("(((", []),
        ("int x = 1'000'000;", [10**6]),
        ("int x = 100000LL;", [100_000]),
        ("#define MAXN 50 // 60\nx < MAXN /* 70 */;", [50, 50]),
        ("const long long N = 1e5;\nif (n > 2 * N);", [100_000, 200_000]),
        ("x = '9' - '0';", []),
    ],
)
def test_constants_of_a_source(source, values):
    tokens, _ = lex(source, python=";" not in source)
    assert [token.value for token in tokens if token.value is not None] == values


@given(st.text(max_size=120), st.booleans())
def test_any_text_is_read_without_harm(source, is_python):
    lex(source, python=is_python)
    read_validators([Program("python" if is_python else "cpp", source)])


def test_nothing_is_executed(tmp_path):
    python(f"open({str(tmp_path / 'ran')!r}, 'w')\n__import__('os').abort()")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("source", "pairs"),
    [
        (
            "n, d = read().split()\nhouses = read().split()\ninteger(d, 0, 5 * 10**5)\n"
            "if len(houses) != integer(n, 1, 2 * 10**5):\n    sys.exit(43)\n"
            "for house in houses:\n    integer(house, -7, 7)\nsys.exit(42)\n",
            [Bounds(1, 200_000), Bounds(0, 500_000), Bounds(-7, 7)],
        ),
        (
            "towns, roads = read()\nn = integer(towns, 1, 100)\nm = integer(roads, 0, 9)\ninteger(u, 1, n)\nuse(n)",
            [Bounds(1, 100), Bounds(0, 9), Bounds(1, None)],
        ),
        (
            "assert 1 <= n <= 100\nassert 1 <= k <= n\nif m < 2 or m > 50: raise ValueError\n"
            "if abs(x) > 10**9: raise ValueError\nassert 0 <= min(a) and max(a) <= 1000\n",
            [Bounds(1, 100), Bounds(1, None), Bounds(2, 50), Bounds(-(10**9), 10**9, 0.8), Bounds(0, 1000)],
        ),
    ],
    ids=["in the order of what they bound", "by calls", "all comparisons"],
)
def test_bounds_that_a_validator_names(source, pairs):
    hints = python(source)
    assert list(hints.pairs) == pairs
    assert hints.known


@pytest.mark.parametrize(
    "source",
    ["assert 0 < n < 100001", "assert 1 <= n <= 100000", "if n <= 0 or n >= 100001: sys.exit(43)"],
)
def test_open_bounds_of_a_python_validator(source):
    assert [(pair.low, pair.high) for pair in python(source).pairs] == [(1, 100_000)]


def test_a_grammar_is_read_without_what_runs_it():
    grammar = (
        b'# n numbers\nINT(1, 100000, n) NEWLINE REP(n, SPACE) INT(-5, 2*1000) END NEWLINE REGEX("[a-c]{2,9}") EOF'
    )
    hints = read_validators([checktestdata_program("v.ctd", grammar)])
    assert [(pair.low, pair.high) for pair in hints.pairs] == [(1, 100_000), (-5, 2000)]
    assert hints.alphabets == (Alphabet("abc", 2, 9),)
    assert hints.constants == (-5, 1, 2000, 100_000)


def test_what_is_read_from_a_stream_is_bounded_where_it_stands():
    hints = cpp(
        "struct point { long x; };\nint main() { long n, m; in >> INT(4, 50, n) >> INT(6, 70, m);\n"
        "for (int i = 0; i < n; i++) { long x; in >> INT(0, 900, x); } }\n"
    )
    assert [(pair.low, pair.high) for pair in hints.pairs] == [(4, 50), (6, 70), (0, 900)]


def test_a_cpp_validator():
    hints = cpp(
        "const int MAXN = 1e5;\n"
        'int main() { int n = inf.readInt(1, MAXN, "n"); inf.readSpace(); int m = inf.readInt(0, 2 * MAXN);\n'
        "for (int i = 0; i < m; i++) { inf.readInt(1, n); inf.readLong(-1000, 1000); }\n"
        'string s = inf.readToken("[a-c]{2,20}"); }\n'
    )
    assert hints.pairs == (Bounds(1, 100_000), Bounds(0, 200_000), Bounds(1, None), Bounds(-1000, 1000))
    assert hints.alphabets == (Alphabet("abc", 2, 20),)


def test_regular_expressions():
    hints = python(r"re.fullmatch(r'(0|-?[1-9][0-9]{0,3}) [A-C_]+ [xy]', line)")
    assert hints.pairs == (Bounds(-9999, 9999, 0.4),)
    assert hints.alphabets == (Alphabet("ABC_", 1), Alphabet("xy", 1, 1))


@pytest.mark.parametrize(
    ("source", "topics"),
    [
        ("assert sorted(a) == a", {"order"}),
        ("assert len(set(a)) == n", {"distinct"}),
        ("# the graph is connected", {"connected"}),
        ("assert not deleted[x - 1]", {"distinct"}),
        ("assert not line[0].isdigit()", set()),
        ("assert n", set()),
    ],
)
def test_what_a_validator_talks_of(source, topics):
    assert python(source).mentions == topics


# -- ranges --------------------------------------------------------------------------------------------


def test_fields_take_the_bounds_that_the_validator_names():
    found = known(
        "3 4\n7 8 9\n",
        "2 5\n1 0\n",
        validator="assert 1 <= n <= 1000 and 0 <= d <= 50\nassert all(-9 <= x <= 10**6 for x in a)",
    )
    ranges = [(found.ranges[field].low, found.ranges[field].highs) for field in range(3)]
    assert ranges == [(1, (1000,)), (0, (50,)), (-9, (10**6,))]


@pytest.mark.parametrize("second", ["3\n5 6 -7\n", "3\n1 2 99\n", "3\n-1 0 1\n"])
def test_bounds_that_known_inputs_break_are_not_theirs(second):
    found = known("2\n3 4\n", second, validator="assert 1 <= n <= 1000\nassert 0 <= x <= 5")
    seen = [int(token) for token in second.split()[1:]]
    assert found.ranges[0].highs == (1000,)
    assert not found.ranges[1].sure
    assert found.ranges[1].low <= min(seen)
    assert max(found.ranges[1].highs) >= max(seen)


def test_words_take_the_alphabet_of_the_validator():
    (found,) = known("abc\n", "xy\n", validator="re.fullmatch('[a-z]{1,30}', word)").ranges.values()
    assert (found.low, found.highs, found.letters) == (1, (30,), "abcdefghijklmnopqrstuvwxyz")


def test_without_a_validator_there_are_guesses():
    found = known("3\n7 8 9\n", "2\n5 5\n")
    assert found.ranges[0].highs[0] == 3
    assert {1000, 10**5} <= set(found.ranges[0].highs)
    assert 10**9 in found.ranges[1].highs
    assert not found.ranges[1].sure


def test_the_statement_says_how_long_a_word_without_a_longest_one_is():
    found = known("ab\n", "b\n", validator="re.match(r'[a-c]+', s)", statement="A word $s$ ($1 \\le |s| \\le 10^6$).")
    assert found.ranges[0].highs == (10**6,)
    assert known("ab\n", "b\n", validator="re.match(r'[a-c]+', s)").ranges[0].highs == (10**5,)
