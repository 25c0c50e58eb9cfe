"""Fleet: the servers of a scenario, built from their models, with crashes, repairs and changes on the calendar."""

import random
from collections.abc import Iterator

from simpy import Environment

from balancer_simulator.scenario.distributions import Distribution
from balancer_simulator.scenario.endpoints import CrashRepair, EndpointModel, SlowSpells
from balancer_simulator.scenario.scenario import Scenario
from balancer_simulator.world.cache import PromptCache, PromptTally
from balancer_simulator.world.calendar import after
from balancer_simulator.world.host import SharedHost
from balancer_simulator.world.server import (
    CallEnded,
    FaultEffects,
    FaultyServer,
    ServerParts,
    SimulatedServer,
    SpellEffect,
)
from balancer_simulator.world.sources import durations
from balancer_simulator.world.streams import Purpose, Streams

__all__ = ["Fleet"]


class Fleet:
    """The servers of one run, by URL, and the hosts whose cores some of them share, by name.

    `prompts` has how many blocks of prompts were met in caches.

    Args:
        env: virtual time.
        scenario: has the models.
        streams: of the replication.
        served: called at the end of every call.
    """

    def __init__(self, env: Environment, scenario: Scenario, streams: Streams, served: CallEnded) -> None:
        self._env = env
        self._scenario = scenario
        self._streams = streams
        self.hosts = {name: SharedHost(env, host.cores) for name, host in scenario.hosts.items()}
        self.prompts = PromptTally()
        self.servers: dict[str, SimulatedServer] = {
            url: self._server(number, url, model, served) for number, (url, model) in enumerate(scenario.by_url.items())
        }

    def _server(self, number: int, url: str, model: EndpointModel, served: CallEnded) -> SimulatedServer:
        host = self.hosts.get(model.endpoint(url).host or "") if self.hosts else None
        timeout_s = self._scenario.requests.call_timeout_s
        own = model.service or model.services or model.prefill_s
        if not (model.faults or own or model.network or host or model.parallel or timeout_s or model.refuse_beyond):
            return SimulatedServer(self._env, number, model, served)
        rng = self._streams.choices(Purpose.FAULTS, number, 0)
        effects = FaultEffects(model.faults, rng, _spell_effects(model, number, self._streams))
        parts = ServerParts(
            host=host,
            effects=effects,
            service=self._durations(model.service, Purpose.WORK, number),
            services=self._by_kind(model, number),
            network=self._durations(model.network, Purpose.NETWORK, number),
            cache=PromptCache(model.cache_blocks, self.prompts) if model.prefill_s else None,
            call_timeout_s=timeout_s,
        )
        server = FaultyServer(self._env, number, model, served, parts)
        for which, crash in enumerate(effects.crashes, start=1):
            rng = self._streams.choices(Purpose.FAULTS, number, which)
            _let_flap(self._env, server, effects, crash, rng, model.from_s)
        return server

    def _by_kind(self, model: EndpointModel, number: int) -> dict[str, Iterator[float]]:
        return {
            name: durations(own, self._streams.numbers(Purpose.WORK, 1_000_000 + number, 1 + place), 256)
            for place, (name, own) in enumerate(sorted(model.services.items()))
        }

    def _durations(self, distribution: Distribution | None, purpose: Purpose, number: int) -> Iterator[float] | None:
        if distribution is None:
            return None
        return durations(distribution, self._streams.numbers(purpose, 1_000_000 + number), 256)


def _spell_effects(model: EndpointModel, number: int, streams: Streams) -> Iterator[SpellEffect]:
    """Yield the slow spells of the endpoint with this number. Their streams are their own, so that others stay."""
    for place, fault in enumerate(each for each in model.faults if isinstance(each, SlowSpells)):
        phase, between, lasts = (
            streams.numbers(Purpose.FAULTS, number, 1_000_000 + place, which) for which in range(3)
        )
        yield SpellEffect(
            fault, durations(fault.between, between, 64), durations(fault.lasts, lasts, 64), phase.random()
        )


def _let_flap(
    env: Environment,
    server: FaultyServer,
    effects: FaultEffects,
    crash: CrashRepair,
    rng: random.Random,
    from_s: float,
) -> None:
    """Let a server crash, once it has joined, and be repaired for ever, at instants that depend on nothing else."""

    def go_down(_: None) -> None:
        after(env, rng.expovariate(1 / crash.mttr_s), come_up, None)
        effects.down += 1
        server.crash()

    def come_up(_: None) -> None:
        effects.down -= 1
        after(env, rng.expovariate(1 / crash.mtbf_s), go_down, None)

    after(env, from_s + rng.expovariate(1 / crash.mtbf_s), go_down, None)
