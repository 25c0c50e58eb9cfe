"""`prefix`, held against its rule: the longest known beginning within the bound, else the least load."""

import json
from types import SimpleNamespace

from balancer import prompt_key
from balancer.endpoint import Endpoint
from balancer.strategy import Request
from tests.properties.books import Books

_URLS = ("http://a/", "http://b/", "http://c/")


def books_of(capacity: int = 8, **options: float) -> Books:
    endpoints = [Endpoint(url, capacity=capacity) for url in _URLS]
    return Books("prefix", endpoints, options=options)


def where(books: Books, *keys: str) -> list[str]:
    """Return who gets each call, one after the other."""
    return [books.calls(1, request=Request(key=key))[0] for key in keys]


def test_a_prompt_goes_where_its_beginning_was_and_another_one_elsewhere():
    books = books_of()
    homes = where(books, "1/2/3", "x/y", "k/l")
    assert sorted(homes) == list(_URLS)
    assert where(books, "1/2/3/4", "1/2/3/4/5/6", "x/y", "k/l/m", "1/2/9") == [
        homes[number] for number in (0, 0, 1, 2, 0)
    ]


def test_the_longest_beginning_counts_if_it_is_long_enough():
    books = books_of()
    first, second = where(books, "s/1", "t")
    (third,) = {*_URLS} - {first, second}
    assert where(books, "s/2/3/4/5") == [third], "one of five blocks is too little"
    assert where(books, "s/2/3/4/5/6", "s/1/7") == [third, first]


def test_a_busy_endpoint_is_left_and_the_other_one_learns():
    books = books_of(bound=1.0)
    (home,) = where(books, "1/2")
    held = [books.take(Request(key="1/2")) for _ in range(3)]
    assert sorted(taken.url for taken in held) == list(_URLS)
    assert held[0].url == home


def test_no_slot_idles_and_what_is_too_much_is_forgotten():
    books = books_of(capacity=2, bound=1.0)
    assert sorted(books.take(Request(key="1/2")).url for _ in range(6)) == sorted(_URLS * 2)
    books = books_of(most=3)
    (home,) = where(books, "1/2/3")
    where(books, "4/5/6")
    assert where(books, "7/8/9", "1/2/3")[1] != home


def test_a_key_of_blocks_grows_with_its_prompt():
    key = prompt_key(40, block=10)

    def of(text: str) -> list[str]:
        return (key(SimpleNamespace(content=json.dumps({"model": "m", "prompt": text}).encode())) or "").split("/")

    short, longer, other = of("x" * 25), of("x" * 38), of("x" * 15 + "y" * 23)
    assert (len(short), len(longer), len(of("x")), len(of("x" * 900))) == (2, 4, 1, 4)
    assert longer[:2] == short
    assert [mine == theirs for mine, theirs in zip(longer, other, strict=True)] == [True, False, False, False]
    assert key(SimpleNamespace(content=b"no json")) is None
