"""Random values of a walk: endpoints, requests, rules, pauses, and how calls end."""

import random
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final, TypeVar

from balancer.endpoint import Endpoint, Hint, LeaseTerms, Outcome
from balancer.settings.rules import HealthSettings, HolderSettings, LimitSettings, QuotaSettings
from balancer.strategy import ANY, Request, Strategy
from balancer.testing.watched import StrategyFactory
from tests.referee.model_health import RulesInForce

__all__ = [
    "FULL_HOSTS",
    "HOST_CAPS",
    "PAUSES_S",
    "TIMEOUTS_S",
    "Draws",
    "fair_rules_of",
    "gated_rules_of",
    "rules_of",
    "urls_of",
]

HOST_CAPS: Final = {"10.0.0.4": 2, "shared": 2}
PAUSES_S: Final = (0.001, 0.05, 0.3, 1.0, 5.0, 40.0)
FULL_HOSTS: Final = RulesInForce(host_caps=HOST_CAPS)
TIMEOUTS_S: Final = (0.0, 0.01, 1.0, 30.0, float("inf"))

T = TypeVar("T")

_LABELS = (frozenset[str](), frozenset({"a"}), frozenset({"b"}), frozenset({"a", "b"}))
_WEIGHTS = (0.25, 1.0, 1.0, 1.0, 2.0, 3.0)
_HOSTS = (None, None, "shared", "shared", "other")
_TERMS = (
    LeaseTerms("slow", 40.0),
    LeaseTerms("quick", 0.5),
    LeaseTerms(ttl_s=3.0),
    LeaseTerms("forgetful", leak_after_s=1.0),
)
_HOLDERS = tuple(map(LeaseTerms, "abcd"))
_RESTS_S = (0.0, 0.5, 8.0, 1e4)
_OUTCOMES = (*[Outcome.SUCCESS] * 5, *Outcome)
_BAD_OUTCOMES = (*[Outcome.FAILURE] * 7, *Outcome)


def urls_of(endpoints: int) -> tuple[str, ...]:
    """Return `endpoints` URLs, at most 250."""
    return tuple(f"http://10.0.0.{number}/" for number in range(1, endpoints + 1))


def rules_of(rng: random.Random) -> RulesInForce:
    """Return random rules. Each kind of rule, or all of them, is sometimes missing."""
    cooldown_s = rng.choice((0.1, 1.0, 5.0))
    health = HealthSettings(
        consecutive_failures=rng.choice((0, 1, 2, 3)),
        success_rate=rng.choice((0.0, 0.5, 0.9)),
        decay_s=rng.choice((1.0, 30.0)),
        cooldown_s=cooldown_s,
        max_cooldown_s=cooldown_s * rng.choice((1, 10, 60)),
        max_ejected_share=rng.choice((0.0, 0.1, 0.3, 0.5, 0.7, 1.0)),
        slow_start_s=rng.choice((0.0, 0.5, 10.0)),
    )
    limits = LimitSettings(kind="aimd", initial=rng.randint(1, 5))
    caps = {"shared": rng.randint(1, 5), "other": rng.randint(1, 5), "*": rng.randint(1, 8)}
    some = rng.sample(sorted(caps), rng.randint(0, 3))
    return RulesInForce(
        health if rng.random() < 0.8 else None,
        limits if rng.random() < 0.4 else None,
        {host: caps[host] for host in some} if rng.random() < 0.6 else {},
    )


def gated_rules_of(rng: random.Random) -> RulesInForce:
    """Return random rules with failover groups, or quotas, or both, and sometimes others."""
    rules = rules_of(rng) if rng.random() < 0.5 else RulesInForce()
    several = QuotaSettings(requests_per_min=rng.randint(2, 12), tokens_per_min=rng.randint(8, 40))
    few = QuotaSettings(tokens_per_min=rng.randint(4, 30), estimate=rng.randint(0, 4))
    quotas = {"key": several, "team": few}
    some = rng.sample(sorted(quotas), rng.choice((0, 1, 2)))
    groups = not some or rng.random() < 0.6
    spill_after_s = rng.choice((None, 0.0, 0.3, 5.0))
    return replace(rules, quotas={name: quotas[name] for name in some}, groups=groups, spill_after_s=spill_after_s)


def fair_rules_of(rng: random.Random) -> RulesInForce:
    """Return random rules with fair shares of holders, and sometimes others."""
    rules = rng.choice((lambda _: RulesInForce(), rules_of, gated_rules_of))(rng)
    some = {name: holder_settings_of(rng) for name in ("a", "b", "*") if rng.random() < 0.5}
    return replace(rules, holders=some)


def holder_settings_of(rng: random.Random) -> HolderSettings:
    """Return a random weight and random bounds."""
    return HolderSettings(
        weight=rng.choice((0.3, 1.0, 4.0)),
        max_leases=rng.choice((None, None, 1, 2, 5)),
    )


class Draws:
    """The random values of one walk.

    Args:
        rng: the only source of randomness.
        urls: of all possible endpoints. Those with an even index fail most calls.
        rules: in force. Without any, no lease has a time limit either, so that the core's shorter path for such leases
            is tested too.
        makers: of the strategies that take over from each other.

    Attributes:
        urls: as given.
    """

    def __init__(
        self, rng: random.Random, urls: Sequence[str], rules: RulesInForce, makers: Sequence[StrategyFactory]
    ) -> None:
        self._rng = rng
        self._makers = makers
        self.urls = urls
        self._terms = (None, None, *_TERMS) if rules.any else (None,)
        if rules.holders is not None:
            self._terms = (*self._terms, *_HOLDERS, *_HOLDERS)
        self._bad = urls[1::2] if rules.health else ()
        self._groups = (0, 0, 0, 1, 1, 2) if rules.groups else (0,)
        self._quotas = (None, None, *sorted(rules.quotas)) if rules.quotas else (None,)
        self._tokens = (None, 0, 1, 3, 8, 20) if rules.quotas else (None,)

    def strategy(self) -> Strategy:
        """Return a new strategy."""
        return self._makers[self.index(len(self._makers))](random.Random(self._rng.random()))

    def url(self) -> str:
        """Return one of the URLs."""
        return self.one_of(self.urls)

    def request(self) -> Request:
        """Return a request, often the default one."""
        rng = self._rng
        tokens = self.one_of(self._tokens)
        if rng.random() < 0.5:
            terms = self.one_of(_HOLDERS) if _HOLDERS[0] in self._terms and rng.random() < 0.8 else None
            return ANY if tokens is None and terms is None else Request(tokens=tokens, terms=terms)
        labels, terms = rng.choice((_LABELS[0], *_LABELS)), rng.choice(self._terms)
        exclude = rng.sample(self.urls, min(rng.choice((0, 0, 1, 2)), len(self.urls)))
        slots, key = rng.choice((1, 1, 1, 2, 3, 4)), rng.choice((None, "k", "l"))
        only = self.urls[0] if key == "l" and slots == 3 else None  # no further draw: walks stay what they were
        return Request(labels, frozenset(exclude), slots, key, terms, tokens, only)

    def spec(self, url: str) -> Endpoint:
        """Return an endpoint of this URL."""
        rng = self._rng
        labels, host = rng.choice(_LABELS), rng.choice(_HOSTS)
        capacity, weight = rng.randint(1, 4), rng.choice(_WEIGHTS)
        group, quota = self.one_of(self._groups), self.one_of(self._quotas)
        return Endpoint(
            url,
            capacity=capacity,
            weight=weight,
            labels=labels,
            host=host,
            group=group,
            quota=quota,
        )

    def change(self) -> dict[str, Any]:
        """Return a change of an endpoint."""
        url, field = self.url(), self.one_of(("capacity", "capacity", "weight", "labels", "host"))
        return {"url": url, field: getattr(self.spec(url), field)}

    def one_of(self, choices: Sequence[T]) -> T:
        """Return one of `choices`."""
        return self._rng.choice(choices) if len(choices) > 1 else choices[0]

    def index(self, length: int) -> int:
        """Return an index into a list: one of the last 50."""
        return length - 1 - self._rng.randrange(min(length, 50))

    def ending(self, url: str) -> dict[str, Any]:
        """Return how a call to this URL ends: the outcome, and a hint about the endpoint, if any."""
        rng = self._rng
        outcome = rng.choice(_BAD_OUTCOMES if url in self._bad else _OUTCOMES)
        hint = Hint(timed_out=True) if outcome is Outcome.FAILURE and rng.random() < 0.3 else None
        if outcome is Outcome.OVERLOAD:
            hint = rng.choice((None, Hint(retry_after_s=rng.choice(_RESTS_S))))
        return {"outcome": outcome, "hint": hint}
