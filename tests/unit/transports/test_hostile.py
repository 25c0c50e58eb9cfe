"""Requests, answers and errors of others that raise: no lease stays out, and no endpoint is blamed."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from requests.models import PreparedRequest

from balancer import Endpoint, Pool
from balancer.endpoint import Outcome, outcome_of
from balancer.transports.adapter import BalancedAdapter
from tests.unit.transports.scripted import FACES, Face, Inner, Reply, pool_of


class Hostile(Exception):
    """An error of a client's own code."""


class Unreadable(Exception):
    """An error that cannot be read."""

    def __str__(self) -> str:
        raise Hostile

    @property
    def response(self) -> Any:
        raise Hostile


def _raise(*_: Any, **__: Any) -> Any:
    raise Hostile


def _with(of: Any, **others: Any) -> Any:
    """Return `of` as one of a class of its own, in which these attributes are other ones."""
    of.__class__ = type(of.__class__.__name__, (of.__class__,), {"__module__": of.__module__, **others})
    return of


_RAISES = property(_raise)
_BODY = {"__iter__": _raise, "__aiter__": _raise}
ANSWERS: dict[str, Callable[[Any], Any]] = {
    **{
        name: lambda answer, name=name: _with(answer, **{name: _RAISES})
        for name in ("headers", "status_code", "stream")
    },
    "its body": lambda answer: _set(answer, stream=_with(answer.stream, **_BODY)),
}


def _set(of: Any, **others: Any) -> Any:
    for name, value in others.items():
        setattr(of, name, value)
    return of


class Spoilt(Inner):
    """Answers by a script, and then spoils the answer."""

    spoil: Callable[[Any], Any] = staticmethod(_raise)

    def _answer(self, request: Any, body: bytes | None) -> Any:
        return self.spoil(super()._answer(request, body))


def _asks(face: Face, inner: Inner, raises: Any = (Hostile, TypeError, AttributeError)) -> tuple[Pool, list[str]]:
    pool, ends = pool_of(Endpoint("http://a/", name="a", headers={"Authorization": "Bearer secret-1"}), "b")
    client = face.transport(pool, inner)
    asked = face.http.Request("POST", "http://pool/v1/x", content=b"1")
    with pytest.raises(raises):
        face.run(client, lambda http: http.send(asked))
    return pool, ends


@pytest.mark.parametrize("face", FACES)
@pytest.mark.parametrize("what", ANSWERS)
def test_an_answer_that_raises_gives_its_slot_back(face, what):
    inner = Spoilt(face.http, {"a": [Reply()]})
    inner.spoil = ANSWERS[what]
    pool, ends = _asks(face, inner)
    assert (pool.leases(), ends, inner.hosts) == ((), ["a ignored"], ["a"])


@pytest.mark.parametrize("face", FACES)
def test_an_error_that_cannot_be_read_ends_its_lease(face):
    pool, ends = _asks(face, Inner(face.http, {"a": [Unreadable()]}), Unreadable)
    assert (pool.leases(), ends) == ((), ["a ignored"])


@pytest.mark.parametrize("face", FACES)
@pytest.mark.parametrize("what", ["method", "url", "headers", "extensions", "stream"])
def test_a_request_that_raises_leaves_no_lease(face, what):
    pool, ends = pool_of("a")
    request = _with(face.http.Request("POST", "http://pool/v1/x", content=b"1"), **{what: _RAISES})
    with pytest.raises(Hostile):
        face.handle(face.transport(pool, Inner(face.http, {"a": [Reply()]})), request)
    assert (pool.leases(), set(ends) - {"a ignored"}) == ((), set())


@pytest.mark.parametrize(
    ("code", "outcome"),
    [
        ("UNAVAILABLE", Outcome.FAILURE),
        ("DEADLINE_EXCEEDED", Outcome.FAILURE),
        ("RESOURCE_EXHAUSTED", Outcome.OVERLOAD),
        ("INVALID_ARGUMENT", Outcome.IGNORED),
        (None, Outcome.IGNORED),
    ],
)
def test_what_the_statuses_of_grpc_say_of_an_endpoint(code, outcome):
    said = _raise if code is None else lambda self: SimpleNamespace(name=code)
    error = type("_InactiveRpcError", (type("RpcError", (Exception,), {"__module__": "grpc", "code": said}),), {})()
    assert outcome_of(error) is outcome


# -- requests ----------------------------------------------------------------------------------


def test_a_request_of_another_library_is_refused_before_it_takes_a_slot():
    pool, ends = pool_of("a")
    foreign: Any = type("PreparedRequest", (), {"__module__": "niquests.models"})()
    with pytest.raises(TypeError, match=r"found a request of niquests\.models; BalancedAdapter takes"):
        BalancedAdapter(pool).send(foreign)
    assert (ends, pool.stats().acquired) == ([], 0)
    assert not isinstance(foreign, PreparedRequest)
