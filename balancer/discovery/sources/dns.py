"""DNS: the addresses of a name (A, AAAA), or the servers of a service (SRV), until their TTL is over."""

import ipaddress
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, Self

from pydantic import Field, model_validator

from balancer.endpoint import Endpoint
from balancer.hookspecs import EndpointTemplate, Source, SourceAnswer, SourceError, hookimpl
from balancer.values.options import StrategyOptions

if TYPE_CHECKING:
    from dns.resolver import Resolver

__all__ = ["DnsSource"]

_PORT: Final = 53
_LEAST_WEIGHT: Final = 0.1  # of an SRV record with the weight 0, which asks for very little
_Kind = Literal["A", "AAAA", "SRV"]


class DnsSource(Source):
    """The endpoints that a DNS server lists. A name that does not exist, or a late server, is no answer."""

    name = "dns"
    extra = "discovery"

    class Options(StrategyOptions):
        """Options.

        Attributes:
            host: the name to resolve, e.g. "vllm.internal" or "_http._tcp.vllm.internal".
            port: of the endpoints, for A and AAAA; SRV records have their own.
            records: the kinds of records. SRV alone, or A, AAAA or both. Each of them must be answered.
            servers: DNS servers, as "10.0.0.2" or "10.0.0.2:5353"; empty: those of the system.
            timeout_s: seconds for an answer.
            least_s, most_s: bounds on the seconds between two questions; within them the TTL decides.
        """

        host: Annotated[str, Field(min_length=1)]
        port: Annotated[int, Field(ge=1, le=65535)] | None = None
        records: Annotated[list[_Kind], Field(min_length=1)] = Field(default=["A"])
        servers: list[str] = Field(default_factory=list)
        timeout_s: Annotated[float, Field(gt=0)] = 5.0
        least_s: Annotated[float, Field(gt=0)] = 1.0
        most_s: Annotated[float, Field(gt=0)] = 60.0

        @model_validator(mode="after")
        def _one_kind_of_port(self) -> Self:
            if "SRV" in self.records and (len(self.records) > 1 or self.port is not None):
                raise ValueError("SRV records have their own ports; give them alone, and no port")
            if "SRV" not in self.records and self.port is None:
                raise ValueError("port is missing; A and AAAA records have none")
            return self

    options: Options

    def __init__(self, options: Options, template: EndpointTemplate) -> None:
        super().__init__(options, template)
        self._resolver: Resolver | None = None

    def look(self) -> SourceAnswer:
        """Ask for all records, and return them together."""
        options = self.options
        found: list[Endpoint] = []
        ttls = []
        for kind in options.records:
            records, ttl_s = self._asked(kind)
            found += [self._endpoint(kind, record) for record in records]
            ttls.append(ttl_s)
        again_s = max(options.least_s, min(options.most_s, *ttls))
        return SourceAnswer(tuple(sorted(found, key=lambda each: each.name)), again_s=again_s)  # servers turn the order

    def _asked(self, kind: str) -> tuple[list[Any], float]:
        """Return the records of a kind, perhaps none, and their TTL in seconds. Raises SourceError."""
        import dns.exception
        import dns.resolver

        options = self.options
        try:
            if self._resolver is None:
                self._resolver = _resolver_of(options)
            answer = self._resolver.resolve(options.host, kind, raise_on_no_answer=False, lifetime=options.timeout_s)
        except dns.resolver.NXDOMAIN:
            raise SourceError(f"{options.host} does not exist in the DNS") from None
        except dns.resolver.NoNameservers:
            raise SourceError(f"no DNS server answers for {options.host}; each of them refuses or fails") from None
        except dns.exception.Timeout:
            raise SourceError(f"no DNS server answers for {options.host} within {options.timeout_s:g} s") from None
        except dns.exception.DNSException as error:
            raise SourceError(f"{options.host} cannot be resolved: {type(error).__name__}") from None
        if answer.rrset is None:
            return [], options.most_s
        return [record for record in answer.rrset if kind != "SRV" or record.target.labels != (b"",)], answer.rrset.ttl

    def _endpoint(self, kind: str, record: Any) -> Endpoint:
        template = self.template
        if kind == "SRV":
            target = record.target.to_text(omit_final_dot=True)
            return template.endpoint(
                template.url(target, record.port),
                weight=record.weight or _LEAST_WEIGHT,
                group=template.group + record.priority,
            )
        assert self.options.port is not None
        return template.endpoint(template.url(record.address, self.options.port))


def _resolver_of(options: DnsSource.Options) -> "Resolver":
    """Return the resolver. It keeps no answers, as the source waits for their TTL. Raises SourceError."""
    import dns.nameserver
    import dns.resolver

    if not options.servers:
        return dns.resolver.Resolver()
    resolver = dns.resolver.Resolver(configure=False)
    servers: list[str | dns.nameserver.Nameserver] = []
    for server in options.servers:
        address, port = _address_of(server)
        servers.append(dns.nameserver.Do53Nameserver(address, port))
    resolver.nameservers = servers
    return resolver


def _address_of(server: str) -> tuple[str, int]:
    """Return address and port of a DNS server. Raises SourceError."""
    host, found, port = server.rpartition(":")
    if not found or ("." not in host and not host.startswith("[")):  # no port, or an IPv6 address alone
        host, port = server, str(_PORT)
    try:
        return str(ipaddress.ip_address(host.strip("[]"))), int(port)
    except ValueError:
        raise SourceError(f'the DNS server {server!r} is neither "10.0.0.2" nor "10.0.0.2:5353"') from None


@hookimpl
def balancer_sources() -> list[type[Source]]:
    """Offer this source."""
    return [DnsSource]
