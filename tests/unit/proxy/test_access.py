"""Who may send requests, what they ask the pool for, and what a proxy answers itself."""

import asyncio
import json
import logging
import ssl
import subprocess

import pytest

from balancer import ConfigError, HealthSettings, Lease, NoEndpoint, Outcome, Pool
from balancer.hookspecs import HttpAnswer
from balancer.proxy.app import ProxyServer
from balancer.settings.config import load_config
from balancer.settings.proxy import ProxySettings
from balancer.settings.rules import QuotaSettings
from balancer.testing.clock import ManualClock
from tests.unit.proxy.harness import OK, Client, Server, answering, gated, run, setting, until

A, B = "a" * 16, "b" * 20
TENANTS = {"tenants": [{"name": "ann", "token": A, "most": 2}, {"name": "ben", "token": B, "labels": ["big"]}]}
METERED = {"q": QuotaSettings(tokens_per_min=10**12)}


@pytest.mark.parametrize(
    ("said", "who"),
    [
        (f"Authorization: Bearer {A}", "ann"),
        (f"authorization: bearer {A}", "ann"),
        (f"X-Api-Key: {B}", "ben"),
        (f"api-key: {B}", "ben"),
        (f"Authorization: Basic x\r\nX-Api-Key: {A}", "ann"),
        ("X-A: b", None),
        (f"Authorization: {A}", None),
        (f"Authorization: Bearer {A}x", None),
        (f"Authorization: Bearer {A[:-1]}", None),
        ("Authorization: Bearer ", None),
        (f"Authorization: Basic {A}", None),
    ],
)
async def test_a_tenant_is_known_by_its_token(said, who):
    held = []

    async def behave(_, __, ___, writer):
        held.extend(row.holder for row in at.pool.leases())
        writer.write(OK)

    server = Server(behave)
    async with setting(server, proxied=TENANTS, labels=[frozenset({"big"})]) as at:
        answer = await at.get("/", f"{said}\r\n")
        if who is None:
            assert (answer.status, answer.headers["www-authenticate"]) == (401, "Bearer")
            assert (server.asked, held) == ([], [])
            assert (b"this proxy needs a token" if said == "X-A: b" else b"the token is of no tenant") in answer.body
        else:
            assert (answer.status, held) == (200, [who])
            assert not [name for name in ("Authorization", "X-Api-Key", "Api-Key") if name in server.asked[0]]
        assert (await at.get("/balancer/health")).status == 200  # it says nothing that is secret


async def test_a_tenant_has_as_many_requests_as_it_may():
    gate = asyncio.Event()
    async with setting(Server(gated(gate)), proxied=TENANTS, labels=[frozenset({"big"})]) as at:
        ann, ben = f"X-Api-Key: {A}\r\n", f"X-Api-Key: {B}\r\n"
        asking = [asyncio.create_task(at.get("/", ann)) for _ in range(2)]
        await until(lambda: at.out() == 2)
        answer = await at.get("/", ann)
        assert (answer.status, "retry-after" in answer.headers) == (429, True)
        asking.append(asyncio.create_task(at.get("/", ben)))
        await until(lambda: at.out() == 3)
        gate.set()
        assert [each.status for each in await asyncio.gather(*asking)] == [200] * 3
        assert (await at.get("/", ann)).status == 200


async def test_a_tenants_labels_bind_its_requests():
    small, big = Server(answering(OK)), Server(answering(OK))
    labels = [frozenset[str](), frozenset({"big"})]
    async with setting(small, big, proxied=TENANTS, labels=labels) as at:
        for _ in range(4):
            await at.get("/", f"X-Api-Key: {B}\r\n")
    assert (len(small.asked), len(big.asked)) == (0, 4)


_SAME = [{"name": "a", "token": A}, {"name": "b", "token": B}]


@pytest.mark.parametrize(
    ("tenants", "said"),
    [
        *(([{"name": "a", "token": token}], r"tenants\[0\].token: the token has \d+ characters")
          for token in ("short", "with a space in it.", "é" * 20)),
        *(([_SAME[0], _SAME[1] | {key: _SAME[0][key]}], rf"tenants\[1\].{key}: .* must differ")
          for key in ("name", "token")),
    ],
)  # fmt: skip
def test_a_tenant_that_cannot_be_told_or_could_be_guessed_is_refused(tenants, said):
    with pytest.raises(ConfigError, match=said) as caught:
        ProxyServer(Pool(["http://a/"]), ProxySettings.model_validate({"tenants": tenants}))
    assert tenants[-1]["token"] not in str(caught.value)


def test_a_config_tells_mistakes_about_tenants_and_shows_no_token(tmp_path, monkeypatch):
    monkeypatch.setenv("T", A)
    file = tmp_path / "c.toml"
    tokens = ["${T}", "${T}", "short", "${NOT_SET}", "${NOT_SET}"]
    text = "".join(f'[[proxy.tenants]]\nname = "t{n}"\ntoken = "{token}"\n' for n, token in enumerate(tokens))
    file.write_text(text + "[holders.t0]\nweight = 2\n")
    with pytest.raises(ConfigError) as caught:
        load_config(file)
    lines = caught.value.problems
    assert sorted(line.removeprefix(f"{file}: ")[:32] for line in lines) == [
        "holders: they have no effect wit",
        "proxy.tenants[1].token: tenants[",
        "proxy.tenants[2].token: the toke",
        "proxy.tenants[3].token: ${NOT_SE",
        "proxy.tenants[4].token: ${NOT_SE",
    ]
    assert A not in str(lines)


# -- what a request asks for ---------------------------------------------------------------------------


def _chat(**said):
    return json.dumps(said).encode(), "/v1/chat/completions", "Content-Type: application/json\r\n"


@pytest.mark.parametrize(("models", "asked"), [(True, [0, 4]), (False, [2, 2])])
async def test_a_model_is_a_label(models, asked):
    servers = Server(answering(OK)), Server(answering(OK))
    labels = [frozenset({"llama"}), frozenset({"qwen"})]
    async with setting(*servers, labels=labels, proxied={"models": models}) as at:
        for _ in range(4):
            assert (await at.post(*_chat(model="qwen"))).status == 200
        assert [len(server.asked) for server in servers] == asked
        for model in ("unknown", 7, None):  # the servers know better
            assert (await at.post(*_chat(model=model))).status == 200
        assert (await at.post(b"[1", *_chat()[1:])).status == 200
        at.pool.drain(at.pool.endpoints()[1].name)
        answer = await at.post(*_chat(model="qwen"))
        assert (answer.status, b"qwen" in answer.body) == ((503, True) if models else (200, False))


@pytest.mark.parametrize("by_prompt", [False, True])
async def test_requests_with_one_key_go_to_one_server(by_prompt):
    servers = [Server(answering(OK)) for _ in range(3)]
    async with setting(*servers, strategy="rendezvous", proxied={"prompt_key": by_prompt}) as at:
        for number in range(12):
            body, path, kind = _chat(messages=[{"role": "user", "content": f"prompt {number % 2}"}])
            head = kind if by_prompt else f"{kind}Balancer-Key: {number % 2}\r\n"
            assert (await at.post(body, path, head)).status == 200
        assert sum(len(server.asked) > 0 for server in servers) <= 2


@pytest.mark.parametrize("stream", [False, True])
async def test_the_used_tokens_are_those_of_the_answer(stream):
    usage = b'{"usage": {"total_tokens": 700}}'
    body = b"data: " + usage + b"\n\ndata: [DONE]\n\n" if stream else usage
    kind = b"text/event-stream" if stream else b"application/json"
    sent = b"HTTP/1.1 200 OK\r\nContent-Type: " + kind + b"\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)

    quotas = {"q": QuotaSettings(tokens_per_min=1000)}
    async with setting(Server(answering(sent)), quota="q", quotas=quotas) as at:
        assert (await at.post(*_chat(messages=[{"content": "Hello"}], max_tokens=10))).body == body
        (quota,) = at.pool.stats().quotas
        assert quota.tokens == 700
        answer = await at.post(*_chat(messages=[{"content": "Hello"}], max_tokens=2000))
        assert answer.status == 413


@pytest.mark.parametrize(
    ("said", "metered"),
    [
        (b'{"usage": {"prompt_tokens": 600, "completion_tokens": 100, "total_tokens": 700}}', True),
        (b'{"usage": {"prompt_tokens": 100, "completion_tokens": -5, "total_tokens": 95}}', False),
        (b'{"choices": []}', False),
    ],
)
def test_an_answer_that_tells_no_tokens_is_unmetered(said, metered, caplog):
    body = b"data: " + said + b"\n\ndata: [DONE]\n\n"
    kind = b"Content-Type: text/event-stream\r\nContent-Length: %d\r\n\r\n" % len(body)
    caplog.set_level(logging.WARNING, "balancer.proxy")

    async def test():
        server = Server(answering(b"HTTP/1.1 200 OK\r\n" + kind + body))
        async with setting(server, proxied=TENANTS, quota="q", quotas=METERED, fairness="holder") as at:
            ann = f"X-Api-Key: {A}\r\n"
            for _ in range(2):
                await at.post(b"{}", "/v1/chat/completions", ann)
            await at.get("/v1/models", ann)  # such an answer needs no tokens
            await until(lambda: at.out() == 0)
            told = (await at.get("/balancer/metrics", ann)).body.decode()
            assert ('balancer_proxy_unmetered_total{holder="ann"} 2.0' in told) is not metered
            assert at.pool.stats().holders[0].tokens == (3 * 700 if metered else 0)

    run(test())
    warned = [each.getMessage() for each in caplog.records if each.name == "balancer.proxy"]
    assert [each[:38] for each in warned] == [] if metered else ["an answer to ann did not tell its toke"]


async def test_what_a_client_leaves_before_its_end_is_unmetered():
    async def behave(_, __, ___, writer):
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: 99\r\n\r\ndata: {}\n\n")

    async with setting(Server(behave), quota="q", quotas=METERED) as at:
        client = await at.client()
        await client.send(b"POST / HTTP/1.1\r\nHost: proxy\r\nContent-Length: 2\r\n\r\n{}")
        assert (await client.head()).status == 200
        client.close()
        await until(lambda: at.proxy.unmetered)
        assert at.proxy.unmetered == {"": 1}


async def test_reports_of_load_are_heard(monkeypatch):
    heard = []
    monkeypatch.setattr(Lease, "told", lambda _, load: heard.append(load))

    report = b"endpoint-load-metrics: TEXT cpu_utilization=0.25\r\n"
    server = Server(answering(b"HTTP/1.1 200 OK\r\n" + report + b"Content-Length: 0\r\n\r\n"))
    async with setting(server) as at:
        await at.get()
        assert [load.used for load in heard] == [0.25]


# -- answers of its own --------------------------------------------------------------------------------


async def test_health_and_metrics():
    async with setting(Server(answering(OK)), path="/v1") as at:
        answer = await at.get("/balancer/health")
        assert json.loads(answer.body) == {
            "endpoints": 1,
            "in_service": 1,
            "on_trial": 0,
            "stopping": False,
        }
        await at.get()
        await at.get("/../x")
        told = (await at.get("/balancer/metrics")).body.decode()
        assert 'balancer_proxy_answers_total{status="200"} 2.0' in told
        assert 'balancer_proxy_answers_total{status="400"} 1.0' in told
        assert "balancer_leases_total{" in told
        at.pool.drain(at.pool.endpoints()[0].name)
        assert (await at.get("/balancer/health")).status == 503


async def test_who_is_on_trial_is_not_in_service_and_keeps_the_proxy_ready():
    clock = ManualClock()
    health = HealthSettings(consecutive_failures=1, cooldown_s=1.0, slow_start_s=0.0)
    async with setting(Server(answering(OK)), dead=1, health=health, clock=clock) as at:
        dead, well = (endpoint.name for endpoint in at.pool.endpoints())
        at.pool.acquire(only=dead).release(Outcome.FAILURE)
        told = [json.loads((await at.get("/balancer/health")).body)]
        clock.advance(1.0)
        told.append(json.loads((await at.get("/balancer/health")).body))
        at.pool.drain(well)
        answer = await at.get("/balancer/health")
        told.append(json.loads(answer.body))
        assert [(each["endpoints"], each["in_service"], each["on_trial"]) for each in told[:2]] == [
            (2, 1, 0),
            (2, 1, 1),
        ]
        assert answer.status == 200


async def test_a_route_answers_in_place_of_the_pool():
    calls = []

    async def route(call):
        calls.append(call)
        return HttpAnswer(201, call.body.upper(), {"X-A": "b"})

    server = Server(answering(OK))
    async with setting(server, routes={"POST /run_code": route}, proxied=TENANTS) as at:
        answer = await at.post(b"hello", "/run_code?x=1", f"X-Api-Key: {A}\r\nX-B: 1\r\nX-B: 2\r\n")
        assert (answer.status, answer.body, answer.headers["x-a"]) == (201, b"HELLO", "b")
        assert (calls[0].method, calls[0].path, calls[0].query, calls[0].holder) == (
            "POST",
            "/run_code",
            "x=1",
            "ann",
        )
        assert (calls[0].headers["x-b"], calls[0].body) == ("1, 2", b"hello")
        assert (await at.get("/run_code", f"X-Api-Key: {A}\r\n")).body == b"ok"  # another method: the pool's
        assert (await at.post(b"x", "/run_code")).status == 401


async def test_a_route_that_fails_is_an_answer(caplog):
    async def none(_):
        raise NoEndpoint(frozenset(), frozenset(), 0)

    async def wrong(_):
        raise ZeroDivisionError

    async with setting(Server(answering(OK)), routes={"GET /none": none, "GET /wrong": wrong}) as at:
        answer = await at.get("/none")
        assert (answer.status, "retry-after" in answer.headers) == (503, True)
        assert (await at.get("/wrong")).status == 500
        assert "ZeroDivisionError" in caplog.text
        body = bytes(2_000_000)
        assert (await at.post(body, "/none")).status == 200


async def test_a_route_is_cancelled_with_its_client():
    begun, ended = asyncio.Event(), asyncio.Event()

    async def waits(_):
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()
        raise AssertionError

    async with setting(Server(answering(OK)), routes={"GET /": waits}) as at:
        client = await at.client()
        await client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        await begun.wait()
        client.close()
        await ended.wait()


# -- TLS -----------------------------------------------------------------------------------------------


@pytest.mark.needs("openssl")
async def test_tls_on_both_sides(tmp_path):
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    subprocess.run(
        (
            "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=a "
            f"-addext subjectAltName=IP:127.0.0.1 -keyout {key} -out {cert}"
        ).split(),
        check=True,
        capture_output=True,
    )
    own, theirs = (ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER) for _ in range(2))
    for context in (own, theirs):
        context.load_cert_chain(cert, key)

    server = Server(answering(b"HTTP/1.1 200 OK\r\nContent-Length: 300000\r\n\r\n" + bytes(300_000)))
    made = setting(server, scheme="https", tls=own, server_tls=theirs, proxied={"ca": str(cert)})
    async with made as at:
        client = await at.client(ssl=ssl.create_default_context(cafile=str(cert)))
        for _ in range(2):
            assert len((await client.ask(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")).body) == 300_000
        assert (server.asked[0]["X-Forwarded-Proto"], server.connections) == ("https", 1)
        plain = Client(*await asyncio.open_connection("127.0.0.1", at.port))
        await plain.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert await plain.is_closed()
        plain.close()
    async with setting(server, scheme="https", server_tls=theirs) as at:  # nobody vouches for the certificate
        assert (await at.get()).status == 502


async def test_tenants_may_be_replaced_while_requests_are_under_way():
    held = asyncio.Event()

    server = Server(gated(held))
    async with setting(server, proxied=TENANTS | {"tenants": [{"name": "ann", "token": A, "most": 1}]}) as at:
        first = asyncio.create_task(at.get("/", f"X-Api-Key: {A}\r\n"))
        await until(lambda: server.asked)
        new = "c" * 16
        for wrong in ([], [{"name": "ann", "token": "short"}]):
            with pytest.raises(ConfigError, match=r"there are none any more|the token has 5 characters"):
                at.proxy.admit(ProxySettings(tenants=wrong).tenants)
        at.proxy.admit(ProxySettings(tenants=[{"name": "ann", "token": new, "most": 1}]).tenants)
        assert (await at.get("/", f"X-Api-Key: {A}\r\n")).status == 401
        assert (await at.get("/", f"X-Api-Key: {new}\r\n")).status == 429  # the first one still counts
        held.set()
        assert (await first).status == 200
        assert (await at.get("/", f"X-Api-Key: {new}\r\n")).status == 200
