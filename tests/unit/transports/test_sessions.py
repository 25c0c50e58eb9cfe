"""Sessions: requests go where their file, conversation or other session lives."""

import asyncio
import gzip
import json
from collections.abc import Callable
from typing import Any

import aiohttp
import openai
import pytest
import requests

import balancer
from balancer import Endpoint, NoEndpoint, Pool, Sessions
from balancer.transports.adapter import BalancedAdapter
from balancer.transports.clients import openai_http
from balancer.transports.middleware import BalancedMiddleware
from balancer.transports.sessions import RequestText
from tests.apis.api import serving
from tests.unit.transports.file_servers import FileServer, Served
from tests.unit.transports.scripted import FACES, Inner, Reply, pool_of

_HTTP = openai_http()
_ALIKE = {"Content-Type": "application/json"}


def _inner(http: Any, *names: str, zipped: bool = False) -> tuple[Inner, list[FileServer]]:
    servers = [FileServer(name) for name in names]

    def replies(server: FileServer) -> Callable[[Any], Reply]:
        def reply(request: Any) -> Reply:
            sent = next(body for _, body, each in inner.sent[::-1] if each is request)
            status, said = server.answer(request.method, request.url.raw_path.decode(), sent or b"")
            content = json.dumps(said).encode()
            headers = {**_ALIKE, "Content-Encoding": "gzip"} if zipped else _ALIKE
            content = gzip.compress(content) if zipped else content
            return Reply(status, headers, (content[:20], content[20:]))

        return reply

    inner = Inner(http, {server.name: [replies(server)] for server in servers})
    return inner, servers


def _found(client: Any) -> list[bool]:
    """Make twelve of each kind, ask for each, and return which were found."""

    def is_there(ask: Callable[[], Any]) -> bool:
        try:
            ask()
        except openai.NotFoundError:
            return False
        return True

    found = []
    for _ in range(12):
        file = client.files.create(file=("a.jsonl", b"{}"), purpose="batch")
        found.append(is_there(lambda made=file: client.files.retrieve(made.id)))
        run = client.post("/threads/runs", body={"assistant_id": "a"}, cast_to=object)
        poll = f"/threads/{run['thread_id']}/runs/{run['id']}"
        found.append(is_there(lambda path=poll: client.get(path, cast_to=object)))
    return found


def test_files_and_runs_are_found_with_openais_client_and_not_without_sessions():
    for sessions, least, most in ((Sessions(), 24, 24), (None, 0, 14)):
        pool, _ = pool_of("a", "b", "c", strategy="random", seed=1)
        inner, servers = _inner(_HTTP, "a", "b", "c", zipped=True)
        with balancer.openai(pool, inner=inner, sessions=sessions) as client:
            assert least <= sum(_found(client)) <= most
        assert all(server.seen for server in servers)


@pytest.mark.parametrize("face", FACES)
def test_a_session_by_header_cookie_or_function_stays_with_whom_answered_first(face):
    by: list[tuple[dict[str, Any], dict[str, str]]] = [
        ({"header": "X-Talk"}, {"X-Talk": "7"}),
        ({"cookie": "talk"}, {"Cookie": "other=1; talk=7"}),
        ({"function": lambda request: request.headers.get("X-User")}, {"X-User": "7"}),
    ]
    for named, headers in by:
        pool, _ = pool_of("a", "b", "c", strategy="round_robin")
        inner = Inner(face.http, {name: [Reply()] for name in "abc"})
        transport = face.transport(pool, inner, sessions=Sessions(ids=(), **named))
        for _ in range(3):
            face.request(transport, headers=headers)
        face.request(transport)
        assert (len(set(inner.hosts[:3])), len(set(inner.hosts))) == (1, 2)


@pytest.mark.parametrize("face", FACES)
def test_a_server_may_name_the_session_in_a_header_or_a_cookie_of_its_answer(face):
    told = {"Mcp-Session-Id": "s-1", "Set-Cookie": "lb=s-1; Path=/"}
    for named, headers in (
        ({"header": "mcp-session-id"}, {"Mcp-Session-Id": "s-1"}),
        ({"cookie": "lb"}, {"Cookie": "lb=s-1"}),
    ):
        pool, _ = pool_of("a", "b", strategy="round_robin")
        inner = Inner(face.http, {"a": [Reply(headers=told)], "b": [Reply(headers=told), Reply()]})
        transport = face.transport(pool, inner, sessions=Sessions(ids=(), **named))
        face.request(transport)
        for _ in range(3):
            face.request(transport, headers=headers)
        assert len(set(inner.hosts)) == 1


def test_requests_learns_ids_and_aiohttp_knows_sessions_by_header():
    files = [FileServer("a"), FileServer("b")]
    with serving(Served(files[0])) as a, serving(Served(files[1])) as b:
        pool, _ = pool_of(
            Endpoint(f"http://{a}/", name="a"), Endpoint(f"http://{b}/", name="b"), strategy="round_robin"
        )
        with requests.Session() as session:
            session.trust_env = False
            session.mount("http://pool/", BalancedAdapter(pool, sessions=Sessions()))
            for _ in range(3):
                made = session.post("http://pool/v1/files", data=b"").json()
                assert session.get(f"http://pool/v1/files/{made['id']}").status_code == 200

        async def talk() -> None:
            fresh, _ = pool_of(*pool.endpoints(), strategy="round_robin")
            middleware = BalancedMiddleware(fresh, sessions=Sessions(header="X-Talk"))
            async with aiohttp.ClientSession(middlewares=[middleware]) as client:
                for number in range(4):
                    headers = {"X-Talk": str(number % 2)}
                    async with client.post("http://pool/v1/files", json={}, headers=headers) as answer:
                        assert answer.status == 200

        before = [len(each.seen) for each in files]
        asyncio.run(talk())
        assert [len(each.seen) - count for each, count in zip(files, before, strict=True)] == [2, 2]


def _bound(**given: Any) -> tuple[Pool, Sessions]:
    """Return a pool of a and b, and sessions of which file-1 lives at a."""
    pool, _ = pool_of("a", "b")
    sessions = Sessions(**given)
    sessions.bind(["file-1"], "a", pool.clock())
    return pool, sessions


def _only(pool: Pool, sessions: Sessions, target: str = "/v1/files/file-1", content: bytes | None = None) -> str | None:
    return sessions.session_of(pool, RequestText(target, {}, content)).only


def test_an_id_is_found_in_path_query_and_body_and_not_in_the_words_of_a_prompt():
    pool, sessions = _bound()
    found = ["/v1/files/file-1", "/files/file-1/content?x=1", "/x?after=file-1&y", "/x?ids=%66ile-1,file-2"]
    assert [_only(pool, sessions, target) for target in found] == ["a"] * 4
    other = ["/v1/files/file-11", "/v1/files/myfile-1", "/v1/files", "/file-2"]
    assert [_only(pool, sessions, target) for target in other] == [None] * 4
    told = json.dumps({"tools": [{"file_ids": ["file-2", "file-1"]}]}).encode()
    prompt = json.dumps({"input": 'what is {"id": "file-1"} or file-1?'}).encode()
    assert [_only(pool, sessions, "/v1/responses", body) for body in (told, prompt)] == ["a", None]


def test_ids_are_learnt_however_an_answer_is_cut_and_not_of_words_or_errors():
    pool, sessions = _bound()
    events = b'data: {"type":"response.created","response":{"id": "resp_abc","text":"\\"id\\":\\"file-no\\""}}\n\n'
    told = {"content-type": "text/event-stream"}
    refuses = Inner(_HTTP, {host: [Reply(500, told, (events,))] for host in "ab"})
    with _HTTP.Client(transport=balancer.BalancedTransport(pool, inner=refuses, sessions=sessions)) as client:
        assert client.get("http://pool/").status_code == 500
    assert _only(pool, sessions, "/resp_abc") is None
    reader = sessions.session_of(pool, RequestText("/", {}, None)).answered("b", told.items())
    assert reader is not None
    for at in range(len(events)):
        reader.feed(events[at : at + 1])
    assert _only(pool, sessions, "/resp_abc") == "b"
    assert _only(pool, sessions, "/file-no") is None


def test_a_session_whose_server_is_removed_is_told_so_or_goes_elsewhere_by_choice():
    pool, sessions = _bound()
    inner, _ = _inner(_HTTP, "a", "b")
    pool.remove("a")
    with balancer.openai(pool, inner=inner, sessions=sessions) as client:
        with pytest.raises(
            openai.NotFoundError, match="'a', where alone the request may go, is not in service"
        ) as told:
            client.files.retrieve("file-1")
        assert (told.value.code, inner.hosts) == ("session_gone", [])
        assert isinstance(told.value.__cause__.__cause__, NoEndpoint)
    assert _only(*_gone(elsewhere=["gone"])) is None
    assert _only(*_gone(elsewhere=["full"])) == "a"


def _gone(**given: Any) -> tuple[Pool, Sessions]:
    pool, sessions = _bound(**given)
    pool.drain("a")
    return pool, sessions


def test_a_full_server_is_waited_for_or_left_by_choice():
    for elsewhere, only in (([], "a"), (["gone"], "a"), (["full"], None)):
        pool, sessions = _bound(elsewhere=elsewhere)
        with pool.lease(only="a"):
            assert _only(pool, sessions) == only
        assert _only(pool, sessions) == "a"


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"ids": ()}, "nothing names a session; give ids, a header, a cookie or a function"),
        ({"ids": "file-"}, r"ids is 'file-'; it takes a collection of strings"),
        ({"elsewhere": ["dead"]}, r"elsewhere is \['dead'\]; it takes 'gone' and 'full'"),
        ({"most": 0}, "most"),
        ({"idle_s": 0}, "idle_s"),
    ],
)
def test_a_mistake_is_told(given, why):
    with pytest.raises((TypeError, ValueError), match=why):
        Sessions(**given)
    with pytest.raises(TypeError, match=r"sessions is 'x'; it takes balancer.Sessions"):
        balancer.BalancedTransport(Pool(["a"]), sessions="x")


def test_by_choice_a_session_moves_when_its_server_fails():
    pool, _ = pool_of("a", "b")
    sessions = Sessions(header="X-Talk", elsewhere=["gone"])
    replies = {"a": [Reply(), _HTTP.ConnectError("refused")], "b": [Reply()]}
    inner = Inner(_HTTP, replies)
    transport = balancer.BalancedTransport(pool, inner=inner, sessions=sessions)
    with _HTTP.Client(transport=transport) as client:
        for _ in range(3):
            assert client.get("http://pool/x", headers={"X-Talk": "7"}).status_code == 200
    assert inner.hosts == ["a", "a", "b", "b"]
