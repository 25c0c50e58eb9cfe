"""`round_robin`, held against its definition: the next with a free slot behind the last, in the order of joining."""

from hypothesis import given
from hypothesis import strategies as st

from balancer.endpoint import Endpoint
from balancer.strategy import Request
from tests.properties.books import Books

_URLS = "abcde"


def ring(nodes: list[str], free: set[str], last: str | None) -> str | None:
    """Return who is next, the long way: `nodes` in the order of joining; `last` had the last turn."""
    start = nodes.index(last) + 1 if last is not None else 0
    return next((url for url in nodes[start:] + nodes[:start] if url in free), None)


_moves = st.one_of(
    st.tuples(st.just("take"), st.just("a")),
    st.tuples(st.just("take"), st.just("a")),
    st.tuples(st.just("give"), st.sampled_from(_URLS)),
    st.tuples(st.sampled_from(("out", "back", "join")), st.sampled_from(_URLS)),
)


@given(
    capacities=st.lists(st.integers(1, 3), min_size=3, max_size=3),
    moves=st.lists(_moves, max_size=80),
)
def test_the_next_one_with_a_free_slot_has_its_turn(capacities, moves):
    books = Books("round_robin", [Endpoint(url, capacity=c) for url, c in zip("abc", capacities, strict=True)])
    last: str | None = None
    for move, url in moves:
        if move == "take":
            free = {url for url, node in books.nodes.items() if node.free}
            expected = ring(list(books.nodes), free, last)
            taken = books.try_take()
            assert (taken and taken.url) == expected
            last = expected or last
        elif move == "give":
            for taken in [taken for taken in books.out if taken.url == url][:1]:
                books.give(taken)
        elif move == "join":
            books.do(move, Endpoint(url, capacity=2))
        else:
            books.do(*(("limit", (url, 0)) if move == "out" else (move, url)))


def test_those_that_are_passed_over_again_and_again_leave_nothing_behind():
    """A request with a filter looks at what it passes over, and must not look at what its forerunners passed over."""
    books = Books("round_robin", [Endpoint(str(n), labels=frozenset("x" if n % 2 else "")) for n in range(8)])
    books.calls(5000, request=Request(labels=frozenset("x")))
    assert len(books.strategy._heap) <= 2 * 8 + 64  # there is no other way to see it
