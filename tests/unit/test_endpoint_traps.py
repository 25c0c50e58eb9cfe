"""What a new user writes for an endpoint: it works, or one line says what to write instead."""

from functools import partial

import pytest

from balancer import DuplicateEndpoint, Endpoint, NoEndpoint, Pool, UnknownEndpoint
from balancer.values.urls import identity_of

_ONE = "http://h:1"
_SAME = ["http://h:1/", "HTTP://h:1", "http://H:1/"]


def _line(error):
    """Return the message, which is one line."""
    assert "\n" not in str(error.value)
    return str(error.value)


# -- what is none: the call, its error, what its line says of the value ({0}), and such values ---------


def _pool_of(url):
    return Pool([url])


_OF_ANOTHER_KIND = [("options", [1]), ("host_caps", 3), ("quotas", 3), ("holders", 3), ("observers", 3), ("clock", 3)]
_WRONG = [
    (Pool, TypeError, ("URL",), [None, 5, [5], [None], [("http://a/", 2)]]),
    (Pool, TypeError, ("endpoints is {0!r}, a single one; give a list: [{0!r}]",), ["http://a/", Endpoint("a")]),
    *(
        (lambda wrong, name=name: Pool(["a"], **{name: wrong}), TypeError, (name + " is {0!r}; it takes a ",), [wrong])
        for name, wrong in _OF_ANOTHER_KIND
    ),
    (lambda seed: Pool(["http://a/"], seed=seed), ValueError, ("seed is {0!r}",), ["7", True, 1.5]),
    (lambda name: Endpoint("http://a/", name=name), ValueError, ("name is {0!r}",), ["", "  ", 5]),
    (lambda host: Endpoint("http://a/", host=host), ValueError, ("host is {0!r}",), [3, "", " "]),
    (
        lambda port: Endpoint(f"http://h:{port}/"),
        ValueError,
        ("{0!r}", "65535"),
        ["65536", "99999999999", "0", "http", "80a", "-1", "{1...4}"],
    ),
    (Endpoint, ValueError, ("{0!r}", "white space or a control character"), ["http://a b", "http://\n", "http://\0"]),
    (
        _pool_of,
        ValueError,
        ("endpoint url is {0!r}: it has a port and no scheme; write 'http://{0}'",),
        ["10.0.0.1:8080", "localhost:8080", "[::1]:8080", "gpu-1.lan:80/v1"],
    ),
    (_pool_of, ValueError, ("{0!r}", "expand_range", "config files only"), ["http://h:{1..4}/", "gpu-{1..4}"]),
]


@pytest.mark.parametrize(
    ("call", "error", "words", "wrong"),
    [(call, error, words, wrong) for call, error, words, values in _WRONG for wrong in values],
)
def test_what_is_none_is_told_in_one_line(call, error, words, wrong):
    with pytest.raises(error) as caught:
        call(wrong)
    line = _line(caught)
    assert [each for each in words if each.format(wrong) not in line] == [], line


# -- one endpoint, written twice -------------------------------------------------------------------


@pytest.mark.parametrize("same", _SAME)
def test_an_endpoint_is_found_however_its_url_is_written(same):
    pool = Pool([_ONE])
    with pytest.raises(DuplicateEndpoint) as caught:
        pool.add(same)
    assert repr(same) in _line(caught)
    assert repr(_ONE) in _line(caught)
    assert len(pool.stats().endpoints) == 1
    with pytest.raises(NoEndpoint):
        pool.acquire(0, exclude={same})
    pool.update(same, capacity=3)
    assert pool.stats().endpoints[0].limit == 3
    pool.drain(same)
    assert pool.stats().endpoints[0].state == "draining"
    pool.add(same)
    assert pool.stats().endpoints[0].state == "active"
    pool.remove(same)
    assert pool.stats().endpoints == ()


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("http://h:80", "http://h/"),
        ("https://h:443/", "https://h"),
        ("http://H/v1/", "http://h:80/v1"),
        ("http://[::1]:80/", "http://[::1]"),
        ("http://User@H/", "http://User@h"),
        ("judge0+HTTP://H:80/", "judge0+http://h"),
    ],
)
def test_urls_of_one_endpoint(one, other):
    assert identity_of(one) == identity_of(other)


def test_urls_of_endpoints_that_differ():
    urls = "http://h https://h judge0+http://h http://h:443 http://h/V1 http://h/v1 http://h/?a=/ http://h/?a= "
    urls += "http://User@h http://user@h local://a local://A local://a/ a A a/ h:80 h"
    assert len({*map(identity_of, urls.split())}) == 18


@pytest.mark.parametrize("call", ["drain", "remove", "update"])
def test_an_endpoint_in_place_of_its_name(call):
    pool = Pool(["http://a/"])
    with pytest.raises(TypeError, match=r"its name or its URL[^\n]*$"):
        getattr(pool, call)(Endpoint("http://a/"))
    assert len(pool.stats().endpoints) == 1


# -- one URL, two keys -----------------------------------------------------------------------------


def test_two_endpoints_of_one_url_go_by_name_only():
    pool = Pool([Endpoint("http://a/", name=name) for name in ("one", "two")], strategy="first")
    with pool.lease(timeout=0, exclude={"one"}) as lease:
        assert lease.endpoint.name == "two"
    with pytest.raises(UnknownEndpoint, match="one"):
        pool.drain("http://a/")
    pool.drain("one")
    assert [each.state for each in pool.stats().endpoints] == ["draining", "active"]
    with pytest.raises(DuplicateEndpoint, match="two"):
        pool.add(Endpoint("http://b/", name="two"))


# -- URLs that are none ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url", ["a", "just a name", "gpu/1", "local://gpu:fast", "local://1", "unix:///run/a.sock", "https://user@h/", "é"]
)
def test_plain_names_and_other_schemes_are_free(url):
    pool = Pool([url])
    with pool.lease(timeout=0) as lease:
        assert lease.endpoint.url == url


@pytest.mark.parametrize("url", ["http://me:canary@h/", "me:canary@h:8080", "grpc://me:canary@h"])
def test_a_password_in_a_url_is_refused_and_not_shown(url):
    with pytest.raises(ValueError, match="headers") as caught:
        Endpoint(url)
    assert "canary" not in _line(caught)


# -- numbers that are none -------------------------------------------------------------------------

_NONE = ["5", True, -1, float("nan"), [5]]


@pytest.mark.parametrize("wrong", _NONE)
@pytest.mark.parametrize(
    ("name", "give"),
    [
        ("timeout", lambda pool, wrong: pool.acquire(timeout=wrong)),
        ("timeout", lambda pool, wrong: pool.lease(wrong)),
        ("deadline_s", lambda pool, wrong: pool.call(lambda lease: None, deadline_s=wrong)),
        ("hedge_after_s", lambda pool, wrong: pool.call(lambda lease: None, hedge_after_s=wrong)),
        ("attempts", lambda pool, wrong: pool.call(lambda lease: None, attempts=wrong)),
        ("slots", lambda pool, wrong: pool.acquire(slots=wrong, labels={"any"})),
        ("capacity", lambda pool, wrong: pool.update("http://a/", capacity=wrong)),
        ("weight", lambda pool, wrong: pool.update("http://a/", weight=wrong)),
        ("capacity", lambda pool, wrong: Endpoint("http://a/", capacity=wrong)),
        ("weight", lambda pool, wrong: Endpoint("http://a/", weight=wrong)),
        ("acquire_timeout_s", lambda pool, wrong: Pool(acquire_timeout_s=wrong)),
        ("max_waiters", lambda pool, wrong: Pool(max_waiters=wrong)),
        ("host_caps", lambda pool, wrong: Pool(host_caps={"a": wrong})),
    ],
)
def test_a_number_in_quotes_and_others_that_are_none(name, give, wrong):
    pool = Pool(["http://a/"])
    with pytest.raises(ValueError, match=name) as caught:
        give(pool, wrong)
    assert repr(wrong) in _line(caught)
    assert "it must be a" in _line(caught)
    assert ("leave out the quotes" in _line(caught)) == isinstance(wrong, str)
    (endpoint,) = pool.stats().endpoints
    assert (endpoint.in_flight, endpoint.capacity, endpoint.weight, pool.stats().acquired) == (0, 1, 1.0, 0)


def test_numbers_of_numpy_are_numbers():
    np = pytest.importorskip("numpy")
    pool = Pool([Endpoint("http://a/", capacity=np.int64(2), weight=np.float32(2.0))])
    with pool.lease(timeout=np.float32(1.0)), pool.lease(timeout=np.int64(0)):
        assert pool.stats().endpoints[0].in_flight == 2


@pytest.mark.parametrize("wrong", [3, [[]], "gpu"])
@pytest.mark.parametrize("name", ["labels", "exclude"])
def test_what_is_no_collection_of_strings(name, wrong):
    pool = Pool(["http://a/"])
    for ask in (pool.acquire, partial(pool.call, print)):
        with pytest.raises(TypeError, match="each takes a collection of strings") as caught:
            ask(**{name: wrong})
        assert f"{name}={wrong!r}" in _line(caught)


def test_an_unknown_argument_is_told_by_the_name_of_the_method():
    pool = Pool(["http://a/"])
    for name, ask in (("acquire", pool.acquire), ("call", partial(pool.call, print))):
        with pytest.raises(TypeError, match=rf"^Pool\.{name}\(\) got an unexpected keyword argument 'bogus'"):
            ask(bogus=1)
