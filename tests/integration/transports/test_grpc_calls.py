"""gRPC within `pool.call`, as docs/clients.md has it: nothing is lost while one server dies and one limits."""

import pytest

from balancer import Endpoint, Pool
from tests.benchmarks.client_servers import SAID, three_grpc_servers

grpc = pytest.importorskip("grpc", reason="not run: grpcio is not installed; make clients has such a face")


def test_nothing_is_lost() -> None:
    with three_grpc_servers() as servers:
        pool = Pool(Endpoint(server.url, name=server.kind) for server in servers)
        channels = {each.name: grpc.insecure_channel(each.url.removeprefix("http://")) for each in pool.endpoints()}
        ask = lambda lease: channels[lease.endpoint.name].unary_unary("/s/say")(b"")  # noqa: E731
        assert {pool.call(ask, attempts=4) for _ in range(30)} == {SAID.encode()}
        counted = {each.name: (each.failures, each.overloads) for each in pool.stats().endpoints}
        for channel in channels.values():
            channel.close()
    assert pool.leases() == ()
    assert counted["dies"][0] > 0
    assert counted["limits"][1] > 0
