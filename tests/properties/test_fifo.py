"""`fifo`, held against its definition: the slot that has been free longest is next."""

from dataclasses import replace

from balancer_strategies.fifo import Fifo
from hypothesis import given, settings
from hypothesis import strategies as st

from balancer.endpoint import Endpoint
from balancer.strategy import ANY, Request
from balancer.testing.checks import maker_of
from tests.properties.books import Books
from tests.referee.reference_check import ReferenceCheck

_URLS = ("a", "b", "c", "d")


class _Slots:
    """The definition, the long way: a list of free slots, each with the turn at which it came free.

    A slot never used yet counts as freed when the one before it at the same endpoint is taken, so that the
    first round goes over all endpoints and not over all slots of the first.
    """

    def __init__(self) -> None:
        self.turn = 0
        self.free: list[tuple[int, Endpoint]] = []
        self.unused: dict[str, int] = {}

    def put(self, spec: Endpoint) -> None:
        self.turn += 1
        self.free.append((self.turn, spec))

    def join(self, spec: Endpoint, free: int) -> None:
        if free:
            self.put(spec)
            self.unused[spec.url] = free - 1

    def cut(self, spec: Endpoint, count: int) -> None:
        """Drop the unused ones first, then those free longest."""
        unused = min(count, self.unused.get(spec.url, 0))
        self.unused[spec.url] = self.unused.get(spec.url, 0) - unused
        for slot in [slot for slot in sorted(self.free, key=lambda slot: slot[0]) if slot[1].url == spec.url][
            : count - unused
        ]:
            self.free.remove(slot)

    def raise_(self, spec: Endpoint, count: int) -> None:
        """Let in unused ones; the first of them has its turn now if none of this endpoint has one."""
        if any(slot[1].url == spec.url for slot in self.free):
            self.unused[spec.url] = self.unused.get(spec.url, 0) + count
        else:
            self.join(spec, count)

    def leave(self, url: str) -> None:
        self.free = [slot for slot in self.free if slot[1].url != url]
        self.unused[url] = 0

    def next(self, request: Request) -> str | None:
        slots = [slot for slot in self.free if request.admits(slot[1])]
        if not slots:
            return None
        slot = min(slots, key=lambda slot: slot[0])
        self.free.remove(slot)
        spec = slot[1]
        if self.unused.get(spec.url):
            self.unused[spec.url] -= 1
            self.put(spec)
        return spec.url


_moves = st.one_of(
    st.tuples(
        st.just("take"), st.sampled_from((ANY, Request(exclude=frozenset("a")), Request(exclude=frozenset("bc"))))
    ),
    st.tuples(st.just("give"), st.integers(0, 20)),
    st.tuples(st.just("resize"), st.tuples(st.sampled_from(_URLS), st.integers(1, 4))),
    st.tuples(st.just("drain"), st.sampled_from(_URLS)),
    st.tuples(st.just("add"), st.sampled_from(_URLS)),
)


@settings(max_examples=300)
@given(capacities=st.lists(st.integers(1, 4), min_size=4, max_size=4), moves=st.lists(_moves, max_size=80))
def test_the_slot_free_longest_is_next(capacities, moves):
    specs = [Endpoint(url, capacity=capacity) for url, capacity in zip(_URLS, capacities, strict=True)]
    shadow, slots = ReferenceCheck(maker_of(Fifo), specs), _Slots()
    for spec in specs:
        slots.join(spec, spec.capacity)
    for move, argument in moves:
        _MOVES[move](shadow, slots, argument)
    shadow.finish()


def _take(shadow: ReferenceCheck, slots: _Slots, request: Request) -> None:
    expected = slots.next(request)
    before = len(shadow.grants)
    if not shadow.model.hopeless(request):
        shadow.acquire(request, timeout_s=0.0)
    granted = shadow.grants[before] if len(shadow.grants) > before else None
    assert granted == expected
    shadow.time_out()


def _give(shadow: ReferenceCheck, slots: _Slots, number: int) -> None:
    if shadow.out:
        lease = shadow.out[number % len(shadow.out)]
        shadow.release(lease)
        endpoint = shadow.model.find(lease.endpoint.url)
        if endpoint is not None and endpoint.in_flight < endpoint.limit:
            slots.put(endpoint.spec)


def _resize(shadow: ReferenceCheck, slots: _Slots, change: tuple[str, int]) -> None:
    url, capacity = change
    endpoint = shadow.model.find(url)
    assert endpoint is not None
    spec = replace(endpoint.spec, capacity=capacity)
    free = max(0, endpoint.limit - endpoint.in_flight)
    shadow.update(url, capacity=capacity)
    if endpoint.state == "active":
        slots.free = [(turn, spec if old.url == url else old) for turn, old in slots.free]
        grown = max(0, capacity - endpoint.in_flight) - free
        if grown < 0:
            slots.cut(spec, -grown)
        elif grown:
            slots.raise_(spec, grown)


def _drain(shadow: ReferenceCheck, slots: _Slots, url: str) -> None:
    shadow.drain(url)
    slots.leave(url)


def _add(shadow: ReferenceCheck, slots: _Slots, url: str) -> None:
    endpoint = shadow.model.find(url)
    assert endpoint is not None
    back = endpoint.state != "active"
    shadow.add(endpoint.spec)
    if back:
        slots.join(endpoint.spec, max(0, endpoint.spec.capacity - endpoint.in_flight))


_MOVES = {"take": _take, "give": _give, "resize": _resize, "drain": _drain, "add": _add}


def test_a_change_that_changes_no_slot_costs_no_turn():
    """As by a slow start, which changes the weight again and again."""
    books = Books("fifo", [Endpoint(url, capacity=2) for url in "abc"])
    books.take()
    for _ in range(5):
        books.set("b", weight=0.5)
    assert [books.take().url for _ in range(5)] == list("bcabc")


def test_a_lease_of_several_slots_takes_those_free_longest_and_gives_as_many_back():
    books = Books("fifo", [Endpoint("a", capacity=3), Endpoint("b", capacity=2)])
    both = books.take(Request(slots=2))
    assert both.url == "a"
    assert [books.take().url for _ in range(3)] == list("bab")
    books.give(both)
    assert [books.take().url for _ in range(2)] == list("aa")
    assert books.try_take() is None
