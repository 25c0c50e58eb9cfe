"""Generator `llm` as a plugin, for a run whose config has a table `[llm]`.

Decides what is opened for a run and closed after it: the pool of the model's servers, a client for each, and the
budget.
"""

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from balancer.endpoint import Endpoint
from balancer.errors import ConfigError
from balancer.hookspecs import Generator, hookimpl
from balancer.pipeline.proposing import EquippedGenerator, RunServices, Toolbox
from balancer.plugins.extras import require
from balancer.settings.llm import LlmSettings

if TYPE_CHECKING:
    from balancer.pipeline.llm.asker import Asker, Prompts
    from balancer.pipeline.llm.scripted import ScriptedModel

__all__ = ["LlmPlugin", "balancer_generators"]

_SCRIPTED = "scripted"


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
        scripted = _scripted(settings, services)
        with ExitStack() as stack:
            endpoints = [each for entry in settings.endpoints for each in entry.specs]
            asks = {}
            if scripted is not None:
                endpoints = [Endpoint(_SCRIPTED, capacity=8)]
                asks = {_SCRIPTED: scripted.ask}
            pool = stack.enter_context(
                Pool(
                    endpoints,
                    health=settings.health if settings.health.enabled else None,
                    limits=settings.limits,
                    retries=settings.retries,
                    registry=services.registry,
                )
            )
            for endpoint in endpoints if scripted is None else ():
                client = ModelClient(endpoint.url, endpoint.headers, settings)
                stack.callback(client.close)
                asks[endpoint.name] = client.ask
            account = ModelAccount(settings.budget, services.answers.used())
            servers = ModelServers(pool, asks, outage_s=services.outage_s, say=services.say)
            yield _Equipping(Asker(settings, servers, account, services.answers, prompts, time.monotonic), prompts)


class _Equipping:
    def __init__(self, asker: "Asker", prompts: "Prompts") -> None:
        self._asker = asker
        self._prompts = prompts
        self.name = LlmPlugin.name

    def equip(self, toolbox: Toolbox) -> Generator:
        from balancer.pipeline.llm.generator import ModelGenerator

        return ModelGenerator(self._asker, self._prompts, toolbox)


def _scripted(settings: LlmSettings, services: RunServices) -> "ScriptedModel | None":
    if settings.scripted is None:
        return None
    from balancer.pipeline.llm.scripted import ScriptedModel

    model = ScriptedModel(Path(settings.scripted))
    services.say(f"no real model is used: a scripted one answers, from {settings.scripted}")
    return model


@hookimpl
def balancer_generators() -> list[LlmPlugin]:
    """Return the generator of this module."""
    return [LlmPlugin()]
