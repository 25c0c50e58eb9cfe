"""Generator `llm` as a plugin, for a run whose config has a table `[llm]`.

Decides what is opened for a run and closed after it: the pool of the model's servers, a client for each, and the
budget.
"""

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from balancer.errors import ConfigError
from balancer.hookspecs import Generator, hookimpl
from balancer.pipeline.proposing import EquippedGenerator, RunServices, Toolbox
from balancer.plugins.extras import require
from balancer.settings.llm import LlmSettings
from balancer.settings.pool import EndpointSettings

if TYPE_CHECKING:
    from balancer.pipeline.llm.asker import Asker, Prompts

__all__ = ["LlmPlugin", "balancer_generators"]


class LlmPlugin:
    """Ask a language model for inputs, show it their results, and ask again."""

    name: ClassVar[str] = "llm"

    @contextmanager
    def open(self, services: RunServices) -> Iterator[EquippedGenerator]:
        """Open what the model needs, for one run.

        Raises:
            ConfigError: there is no `[llm]`, or something in it cannot be used.
        """
        require("llm", 'the generator "llm"')
        # Imported here: runs without a model do not need its client library.
        from balancer.opening.pool import Pool
        from balancer.pipeline.llm.asker import Asker, ModelAccount, Prompts
        from balancer.pipeline.llm.client import ModelClient, ModelServers

        settings = services.llm
        if settings is None:
            raise ConfigError('generators has "llm", but there is no table [llm]; add it, with the name of the model')
        prompts = Prompts(settings.prompts)
        with ExitStack() as stack:
            endpoints = [each for entry in _servers(settings, services, stack) for each in entry.specs]
            pool = stack.enter_context(
                Pool(
                    endpoints,
                    health=settings.health if settings.health.enabled else None,
                    limits=settings.limits,
                    retries=settings.retries,
                    registry=services.registry,
                )
            )
            clients = {}
            for endpoint in endpoints:
                clients[endpoint.name] = ModelClient(endpoint.url, endpoint.headers, settings)
                stack.callback(clients[endpoint.name].close)
            account = ModelAccount(settings.budget, services.answers.used())
            servers = ModelServers(pool, clients, outage_s=services.outage_s, say=services.say)
            yield _Equipping(Asker(settings, servers, account, services.answers, prompts, time.monotonic), prompts)


class _Equipping:
    def __init__(self, asker: "Asker", prompts: "Prompts") -> None:
        self._asker = asker
        self._prompts = prompts
        self.name = LlmPlugin.name

    def equip(self, toolbox: Toolbox) -> Generator:
        from balancer.pipeline.llm.generator import ModelGenerator

        return ModelGenerator(self._asker, self._prompts, toolbox)


def _servers(settings: LlmSettings, services: RunServices, stack: ExitStack) -> list[EndpointSettings]:
    if settings.scripted is None:
        return settings.endpoints
    require("serve", "[llm] scripted", "starlette", "uvicorn")
    from balancer.pipeline.llm.scripted import scripted_server

    url = stack.enter_context(scripted_server(Path(settings.scripted)))
    services.say(f"no real model is used: a scripted one answers, from {settings.scripted}")
    return [EndpointSettings(url=url, capacity=8)]


@hookimpl
def balancer_generators() -> list[LlmPlugin]:
    """Return the generator of this module."""
    return [LlmPlugin()]
