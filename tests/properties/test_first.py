"""`first`, held against its definition: of those that can serve, the one that joined first."""

from hypothesis import given
from hypothesis import strategies as st

from balancer.endpoint import Endpoint, Outcome
from balancer.strategy import Request
from tests.properties.books import Books

_URLS = "abcd"
_URL = st.sampled_from(_URLS)
_requests = st.builds(Request, exclude=st.frozensets(_URL, max_size=2), slots=st.sampled_from((1, 2)))
_moves = st.one_of(
    st.tuples(st.just("take"), st.one_of(st.just(Request()), _requests)),
    st.tuples(st.just("give"), st.tuples(st.integers(0, 9), st.just(Outcome.SUCCESS))),
    st.tuples(st.just("limit"), st.tuples(_URL, st.just(0))),
    st.tuples(st.sampled_from(("back", "again")), _URL),
)


@given(
    capacities=st.lists(st.integers(1, 3), min_size=4, max_size=4),
    moves=st.lists(_moves, max_size=80),
)
def test_the_first_that_fits_is_next(capacities, moves):
    books = Books("first", [Endpoint(url, capacity=c) for url, c in zip(_URLS, capacities, strict=True)])
    for move, argument in moves:
        if isinstance(argument, Request):
            expected = next((url for url, node in books.nodes.items() if argument.fits(node)), None)
            taken = books.try_take(argument)
            assert (taken and taken.url) == expected
        elif move == "again":
            spec = books.nodes[str(argument)].endpoint
            books.leave(spec.url)
            books.join(spec)
        else:
            books.do(move, argument)
