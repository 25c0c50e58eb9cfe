"""The proxy as a server: it listens, finds out who asks for what, and passes requests on to the pool.

It answers some paths itself: `/balancer/health`, `/balancer/metrics`, and the routes of plugins.
"""

import asyncio
import hashlib
import json
import logging
import math
import ssl
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, Final

from balancer.core.attempt_plan import AttemptPlans
from balancer.core.decisions import CallPolicy
from balancer.errors import ConfigError
from balancer.hookspecs import HttpCall, Routes
from balancer.opening.connected import trusting
from balancer.opening.pool import Pool
from balancer.plugins.extras import has
from balancer.proxy.client_body import KeptBytes
from balancer.proxy.client_side import ClientConnections, ClientRequest, ConnectionLimits
from balancer.proxy.contact import PoolContact
from balancer.proxy.exchange import ProxyExchange
from balancer.proxy.heads import RequestHead, forwarded
from balancer.proxy.refusals import Header, Refusal
from balancer.proxy.server_side import Servers
from balancer.proxy.tenants import Tenant, Tenants
from balancer.settings.proxy import ProxySettings, SessionSettings, TenantSettings
from balancer.shells.lease_request import LeaseRequest
from balancer.transports.forwarding import joined
from balancer.transports.request_options import prompt_key, prompt_tokens
from balancer.transports.sessions import IDS, RequestText, Sessions
from balancer.values.wording import why_not_listening

__all__ = ["ProxyServer"]

_log = logging.getLogger("balancer.proxy")

_HEALTH: Final = "/balancer/health"
_METRICS: Final = "/balancer/metrics"
_LONGEST_KEY: Final = 256
_MOST_BLOCKS: Final = 64
_ENDPOINTS_S: Final = 1.0
_ACCEPTED_AT_ONCE: Final = 1024


class ProxyServer:
    """One URL in front of a pool. Use it within one event loop.

    Args:
        pool: gets the requests. It stays open when the proxy stops.
        settings: of `[proxy]`; None: the defaults.
        routes: what the proxy answers itself, by method and path.
        limits: of connections; a number of connections in the settings comes first. None: the defaults.
        contact: with the server of the pool, if it has one.
        redact: takes secrets out of the names of tenants in the log and in metrics, e.g. `Config.redact`.

    Attributes:
        answers: how many requests were answered, by status.
        unmetered: how many answers did not tell tokens that count for a quota, by tenant; "": nobody's.

    Raises:
        ConfigError: an endpoint is not http or https, or a file of the settings cannot be used.
    """

    def __init__(
        self,
        pool: Pool,
        settings: ProxySettings | None = None,
        *,
        routes: Routes | None = None,
        limits: ConnectionLimits | None = None,
        contact: PoolContact | None = None,
        redact: Callable[[str], str] = str,
    ) -> None:
        self._pool = pool
        self._contact = contact
        self._engine = pool.engine
        self._settings = settings = settings or ProxySettings()
        limits = limits or ConnectionLimits()
        self._limits = replace(
            limits, connections=settings.connections or limits.connections, body_bytes=settings.body_bytes
        )
        self._routes = routes or {}
        self._tenants = Tenants(settings.tenants)
        self._sessions = _sessions_of(settings.sessions)
        self._kept = KeptBytes(limits.kept_bytes, settings.kept_bytes)
        self._tls = None if settings.ca is None else trusting(settings.ca)
        self._deadline_s = math.inf if settings.deadline_s is None else settings.deadline_s
        self._plans = self._plans_within(self._deadline_s)
        self._labels: frozenset[str] = frozenset()
        self._labels_until_s = -math.inf
        block = settings.prompt_block
        self._prompt_key = prompt_key() if block is None else prompt_key(_MOST_BLOCKS * block, block=block)
        self._prompt_tokens = prompt_tokens()
        self.answers = Counter[int]()
        self.unmetered = Counter[str]()
        self._redact = redact
        self._server: asyncio.Server | None = None
        self._clients: ClientConnections | None = None
        self._servers: Servers | None = None
        self._watching: asyncio.Task[None] | None = None
        self._scrape: Callable[[], tuple[bytes, str]] | None = None
        if not self._routes:
            for endpoint in pool.endpoints():
                joined(endpoint.url, "/")

    # -- the server --------------------------------------------------------------------------------

    async def listen(
        self, host: str = "127.0.0.1", port: int = 0, *, tls: ssl.SSLContext | None = None, shared: bool = False
    ) -> int:
        """Begin to listen, and return the port.

        Args:
            host, port: where; port 0: a free one.
            tls: the context of the proxy's certificate; None: no TLS.
            shared: other processes may listen at the same port, and share its connections.

        Raises:
            ConfigError: it cannot listen there.
        """
        loop, limits = asyncio.get_running_loop(), self._limits
        self._clients = clients = ClientConnections(limits, self._kept, self._answer, self.answers)
        self._servers = Servers(self._tls, self._settings, limits)
        if tls is not None:
            tls.set_alpn_protocols(["http/1.1"])
        try:
            self._server = await loop.create_server(
                clients,
                host,
                port,
                ssl=tls,
                backlog=_ACCEPTED_AT_ONCE,
                reuse_port=shared or None,
                ssl_handshake_timeout=None if tls is None else limits.head_s,
            )
        except (OSError, OverflowError) as error:
            await self._servers.close()
            raise ConfigError(f"cannot listen on {host} port {port}: {why_not_listening(error)}") from None
        if self._contact is not None:
            self._watching = loop.create_task(self._contact.watch())
        bound: int = self._server.sockets[0].getsockname()[1]
        return bound

    async def stop(self, grace_s: float | None = None) -> None:
        """Take no new requests, wait for those under way, and close all connections."""
        if self._server is not None:
            self._server.close()
        if self._clients is not None:
            await self._clients.stop(self._settings.grace_s if grace_s is None else grace_s)
        if self._servers is not None:
            await self._servers.close()
        if self._watching is not None:
            self._watching.cancel()

    def admit(self, tenants: Sequence[TenantSettings]) -> None:
        """Replace the tenants. Requests under way go on. Raises ConfigError, and changes nothing."""
        self._tenants = Tenants(tenants, self._tenants)

    @property
    def connections(self) -> int:
        """How many connections of clients are open."""
        return 0 if self._clients is None else len(self._clients)

    @property
    def kept_bytes(self) -> int:
        """How many bytes of requests' bodies are kept."""
        return self._kept.kept

    # -- a request ---------------------------------------------------------------------------------

    async def _answer(self, request: ClientRequest) -> None:
        head = request.head
        if head.path == _HEALTH:
            self._tell_health(request)
            return
        tenant = self._tenants.of(head)
        if tenant.busy >= tenant.most:
            raise Refusal(429, f"{tenant.name} has as many requests under way as it may", "tenant_full", 1)
        request.holder = tenant.name
        tenant.busy += 1
        try:
            await request.read_body()
            await self._share_out(request, head, tenant)
        finally:
            tenant.busy -= 1

    async def _share_out(self, request: ClientRequest, head: RequestHead, tenant: Tenant) -> None:
        """Answer by a route, or pass on to the pool."""
        path = head.path
        if path == _METRICS:
            await self._tell_metrics(request)
            return
        route = self._routes.get(f"{head.method} {path}")
        if route is not None:
            await self._run_route(route, request, head)
            return
        assert self._servers is not None
        plans, asked = self._plans_for(head), self._asked(request, head, tenant)
        sent = forwarded(
            head,
            request.connection.peer,
            secure=request.connection.secure,
            extend=self._settings.forwarded == "extend",
            without=self._tenants.headers,
        )
        session = None
        if self._sessions is not None:
            text = RequestText(head.target, head.headers, request.body.content)
            session = self._sessions.session_of(self._pool, text)
            asked = session.asked(asked)
        exchange = ProxyExchange(
            self._engine,
            plans,
            asked,
            request=request,
            sent=sent,
            servers=self._servers,
            resend=self._settings.resend,
            session=session,
        )
        try:
            await (exchange.pass_on() if self._contact is None else self._contact.pass_on(exchange))
        finally:
            if exchange.unmetered:
                self._count_unmetered(self._redact(tenant.name))

    def _count_unmetered(self, tenant: str) -> None:
        """Count a call whose tokens no answer told; "": nobody's."""
        if tenant not in self.unmetered:
            _log.warning(
                "an answer%s did not tell its tokens, so a quota kept its estimate; a "
                'stream of OpenAI\'s form tells them if its request has "stream_options": {"include_usage": true}; '
                "balancer_proxy_unmetered counts further ones",
                f" to {tenant}" if tenant else "",
            )
        self.unmetered[tenant] += 1

    async def _run_route(self, route: Callable[[HttpCall], Any], request: ClientRequest, head: RequestHead) -> None:
        body = request.body.content
        if body is None:
            raise Refusal(413, "the body is too large for this path", "too_large")
        path, _, query = head.target.partition("?")
        headers = {name.lower(): ", ".join(head.headers.getall(name)) for name in head.headers}
        if self._contact is not None:
            self._contact.check()
        answer = await route(HttpCall(head.method, path, query, headers, body, request.holder))
        told = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in answer.headers.items()]
        request.answer(answer.status, answer.body, told)

    # -- what a request asks for -------------------------------------------------------------------

    def _plans_for(self, head: RequestHead) -> AttemptPlans:
        """Return what makes the plan of a request. Its own deadline counts if it is the earlier one."""
        said = head.headers.get("Balancer-Deadline")
        if said is None:
            return self._plans
        try:
            asked_s = float(said)
        except ValueError:
            asked_s = math.nan
        if not asked_s > 0:
            raise Refusal(400, "the header Balancer-Deadline takes a number of seconds > 0")
        return self._plans_within(min(self._deadline_s, asked_s))

    def _plans_within(self, deadline_s: float) -> AttemptPlans:
        engine, attempts = self._engine, self._settings.attempts
        policy = CallPolicy(
            attempts=attempts, retries=engine.retries, wait_s=engine.acquire_timeout_s, deadline_s=deadline_s
        )
        return AttemptPlans(policy, budget=engine.budget, rng=engine.jitter)

    def _asked(self, request: ClientRequest, head: RequestHead, tenant: Tenant) -> LeaseRequest:
        """Return what a request asks the pool for."""
        said = head.headers.get("Balancer-Key")
        if said is not None and len(said) > _LONGEST_KEY:
            said = hashlib.blake2b(said.encode(errors="replace")).hexdigest()
        labels, tokens = tenant.labels, None
        by_prompt = said is None and self._settings.prompt_key
        known = self._known_labels() if self._settings.models else frozenset()
        if (known or by_prompt or self._engine.has_quotas) and _is_json(head):
            content = request.body.content
            if content:
                body = SimpleNamespace(content=content)
                said = self._prompt_key(body) if by_prompt else said
                tokens = self._prompt_tokens(body) if self._engine.has_quotas else None
                model = _model_of(content) if known else None
                labels = labels | {model} if model in known else labels
        return LeaseRequest(labels=labels, key=said, tokens=tokens, holder=tenant.name, priority=tenant.priority)

    def _known_labels(self) -> frozenset[str]:
        """Return the labels of all endpoints, read at most once a second."""
        now = self._engine.clock()
        if now >= self._labels_until_s:
            self._labels_until_s = now + _ENDPOINTS_S
            self._labels = frozenset().union(*(each.labels for each in self._pool.endpoints()))
        return self._labels

    # -- answers of its own ------------------------------------------------------------------------

    def _tell_health(self, request: ClientRequest) -> None:
        rows = [row for row in self._pool.stats().endpoints if row.state == "active"]
        out = self._pool.out_of_service()
        served = [row for row in rows if row.name not in out]
        trial = sum(row.health == "half_open" for row in served)
        stopping = self._clients is not None and self._clients.stopping
        told: dict[str, object] = {"endpoints": len(rows), "in_service": len(served) - trial, "on_trial": trial}
        told["stopping"] = stopping
        trouble = "" if self._contact is None else self._contact.trouble
        if trouble:
            told["why"] = f"the server of the pool is lost: {trouble}"
        well = served and not stopping and not trouble  # who is on trial needs a request to come back
        request.answer(200 if well else 503, json.dumps(told).encode() + b"\n", _JSON)

    async def _tell_metrics(self, request: ClientRequest) -> None:
        if not has("observe", "prometheus_client"):
            raise Refusal(501, "this proxy has no extra 'observe'; install it there", "no_extra")
        if self._scrape is None:
            from balancer.observing.prometheus import Collector, scrape_of

            self._scrape = scrape_of(Collector(self._pool), self)
        body, kind = await asyncio.to_thread(self._scrape)
        request.answer(200, body, [(b"Content-Type", kind.encode())])

    def collect(self) -> Iterator[Any]:
        """Yield its own families for Prometheus."""
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

        counts: dict[Any, int]
        for counts, name, label, told in (
            (self.answers, "answers", "status", "Answers to clients."),
            (self.unmetered, "unmetered", "holder", "Answers without tokens, where these count."),
        ):
            family = CounterMetricFamily(f"balancer_proxy_{name}", told, labels=[label])
            for value, count in sorted(counts.items()):
                family.add_metric([str(value)], count)
            yield family
        yield GaugeMetricFamily("balancer_proxy_connections", "Open connections of clients.", self.connections)


_JSON: Final[list[Header]] = [(b"Content-Type", b"application/json")]


def _sessions_of(settings: SessionSettings | None) -> Sessions | None:
    """Return the sessions that the settings want; None: none."""
    if settings is None:
        return None
    given = settings.model_dump()
    return Sessions(**given | {"ids": IDS if settings.ids is None else settings.ids})


def _is_json(head: RequestHead) -> bool:
    kind = head.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    return head.method == "POST" and (kind == "application/json" or kind.endswith("+json"))


def _model_of(content: bytes) -> str | None:
    """Return the `model` of a request in OpenAI's form; None: it names none."""
    try:
        said = json.loads(content)
    except (ValueError, RecursionError):
        return None
    model = said.get("model") if isinstance(said, dict) else None
    return model if isinstance(model, str) else None
