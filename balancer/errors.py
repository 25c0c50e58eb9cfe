"""Errors: every error that this package raises on purpose.

`LeaseError` and `ConfigError` are mistakes of the caller. `AcquireTimeout` and `NoEndpoint` are answers of the pool.
`EndpointError` is the fault of an endpoint. Errors have their facts as fields; the message is one line.
"""

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType

__all__ = [
    "REFUSALS",
    "WHY_NOT_TAKEN",
    "AcquireTimeout",
    "BalancerError",
    "CallFromWithin",
    "CannotTell",
    "CommandStopped",
    "ConfigError",
    "DuplicateEndpoint",
    "EndpointError",
    "EndpointOverloaded",
    "LeaseError",
    "MissingExtra",
    "NoEndpoint",
    "NotConnected",
    "NotExecuted",
    "PackageError",
    "PoolClosed",
    "PoolForked",
    "QuotaExceeded",
    "QuotaSpent",
    "StrategyError",
    "TooManyWaiters",
    "UnknownEndpoint",
    "WaitInCoroutine",
]


_MOST_NAMES = 3
_NO_REASONS: Mapping[str, int] = MappingProxyType({})

WHY_NOT_TAKEN: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "full": ("is full", "are full"),
        "limited": ("is full up to its limit in force", "are full up to their limits in force"),
        "ejected": ("is ejected", "are ejected"),
        "on trial": ("is on trial with its only call", "are on trial with their only call"),
        "resting": ("rests", "rest"),
        "spent": ("has an account with nothing left", "have an account with nothing left"),
        "reserved": ("is kept for an older call", "are kept for older calls"),
        "quota": ("has no room in its quota", "have no room in their quotas"),
        "group": ("is of a group whose turn has not come", "are of groups whose turn has not come"),
        "unsuited": ("cannot serve the request (labels, slots, only, exclude)",) * 2,
        "passed over": ("is free, but the strategy picked none", "are free, but the strategy picked none"),
    }
)
"""Why an endpoint in service was not taken: what is said of one, and of several."""


class BalancerError(Exception):
    """Base class of every error of this package."""


class AcquireTimeout(BalancerError):
    """No slot came free in time.

    Fields: `waited_s` and `timeout_s` (seconds); `out`, the number of endpoints that were out of service because of
    their health; `reasons`, how many endpoints could not be taken, by reason (the keys of `WHY_NOT_TAKEN`; empty: not
    looked for, as for a call that does not wait, or whose holder has all its leases); `quotas`, a text for each quota
    that had no room while a slot was free: how much is used, and when there is room; `apart`, whether there was no
    contact with the server of the pool, and `why_apart`, why not, as far as it is known ("": it is not).

    Args:
        full: whether the holder of the call had as many leases as it may.
    """

    def __init__(
        self,
        waited_s: float,
        timeout_s: float,
        out: int = 0,
        quotas: Sequence[str] = (),
        *,
        apart: bool = False,
        why_apart: str = "",
        full: bool = False,
        reasons: Mapping[str, int] = _NO_REASONS,
    ) -> None:
        unfit = f"{out} {'is' if out == 1 else 'are'} out of service for now, see Pool.stats(); " if out else ""
        if reasons.keys() - {"full"}:
            each = [f"{many} {WHY_NOT_TAKEN[why][many > 1]}" for why, many in reasons.items()]
            unfit = f"of {_counted(sum(reasons.values()), 'endpoint')} {', '.join(each)}; "
        short = "".join(f"{each}; " for each in quotas[:_MOST_NAMES])
        short += f"{len(quotas) - _MOST_NAMES} more quotas have no room; " if len(quotas) > _MOST_NAMES else ""
        remedy = "raise the quota, or add a key with its own quota" if quotas else _remedy(reasons)
        if full:
            remedy = "its holder has as many leases as its max_leases allows: release one, or raise that"
        if apart:
            remedy = (
                f"there is no contact with the server of the pool: {why_apart or 'see that it runs and can be reached'}"
            )
        super().__init__(
            f"no endpoint came free within {timeout_s:.6g} s (waited {waited_s:.3f} s); "
            f"{unfit}{short}{remedy}{'' if why_apart else ', or allow a longer timeout'}"
        )
        self.reasons = dict(reasons)
        self.quotas = tuple(quotas)
        self.waited_s = waited_s
        self.timeout_s = timeout_s
        self.out = out
        self.apart = apart
        self.why_apart = why_apart


def _counted(many: int, noun: str) -> str:
    return f"{many} {noun}{'s' * (many != 1)}"


def _remedy(reasons: Mapping[str, int]) -> str:
    """Return what helps against a timeout."""
    if "passed over" in reasons:
        return "mend the strategy: check_strategy of balancer.testing finds such mistakes"
    if not reasons or "full" in reasons:
        return "add endpoints or capacity"
    if "limited" in reasons:
        return "see [limits] and host_caps, or add endpoints"
    if reasons.keys() & {"ejected", "on trial"}:
        return "see why they fail (Pool.last_errors), or add endpoints"
    return "add endpoints that can serve it"


class MissingExtra(BalancerError):
    """A feature needs an optional extra that is not installed. Fields: `extra`, `missing` (modules)."""

    def __init__(self, what: str, extra: str, missing: Iterable[str], remedy: str) -> None:
        self.extra = extra
        self.missing = tuple(missing)
        super().__init__(f"{what} needs the extra {extra!r} (missing: {', '.join(self.missing)}): {remedy}")


class PoolClosed(BalancerError):
    """The pool was closed before or during the acquire."""

    def __init__(self, what: str = "the pool is closed; leases already out may still be released") -> None:
        super().__init__(what)


class NotConnected(BalancerError):
    """The server of the pool cannot be reached, or refuses this process. Fields: `url`, `why`."""

    def __init__(self, url: str, why: str) -> None:
        super().__init__(f"{url}: {why}")
        self.url = url
        self.why = why


class TooManyWaiters(BalancerError):
    """The queue of waiters is full. Fields: `waiting`, `limit`.

    `of_one_process`: they are of this process alone, at a pool that it shares with others, which has a limit for each.
    """

    def __init__(self, waiting: int, limit: int, of_one_process: bool = False) -> None:
        super().__init__(
            f"{waiting} callers of this process wait already, and a shared pool lets {limit} of each process wait; ask "
            "for fewer leases at once"
            if of_one_process
            else f"{waiting} callers wait already and max_waiters is {limit}; try later or raise it"
        )
        self.waiting = waiting
        self.limit = limit
        self.of_one_process = of_one_process


class WaitInCoroutine(BalancerError):
    """No slot is free, and a coroutine asked. A wait would block its event loop, with the tasks that hold the slots."""

    def __init__(self) -> None:
        super().__init__(
            "no slot is free, and a wait in a coroutine would stop the event loop with all its tasks; write async with "
            "pool.aio.lease() as lease: ..., or do not wait: timeout=0"
        )


class CallFromWithin(BalancerError):
    """A finaliser, a signal handler or the strategy called the pool while its thread was inside a call of this pool."""

    def __init__(self) -> None:
        super().__init__(
            "this thread is inside a call of this pool already, so a finaliser, a signal handler or the strategy can "
            "release a lease now, but neither lease nor read nor change the pool; set a flag there, and do it later"
        )


class NoEndpoint(BalancerError):
    """No endpoint in service could ever serve the request.

    Fields: `labels`, `exclude`, `slots` and `only` of the request; `endpoints`, how many are in service; `spent`, how
    many of these could serve it, but have an account without quota; `spent_names`, their names.
    """

    def __init__(
        self,
        labels: frozenset[str],
        exclude: frozenset[str],
        endpoints: int,
        slots: int = 1,
        spent_names: Sequence[str] = (),
        only: str | None = None,
    ) -> None:
        wants = []
        if slots > 1:
            wants.append(f"{slots} slots at once")
        if labels:
            wants.append(f"labels {sorted(labels, key=str)}")
        if exclude:
            wants.append(f"excluding {sorted(exclude)}")
        asked = " and ".join(wants) or "any endpoint"
        nothing_left = f"{_said_spent(spent_names)}, or " if spent_names else ""
        if only is not None:
            said = (
                f"{nothing_left}{only!r}, where alone the request may go, is not in service or cannot serve it "
                "(labels, slots, exclude); add it again, ask for less, or let the request go elsewhere"
            )
        elif endpoints:
            found = f"none of the {endpoints} endpoints in service can serve a request for {asked}"
            said = f"{found}; {nothing_left}add one that can, or ask for less"
        else:
            said = f"no endpoint is in service; {nothing_left}add one"
        super().__init__(said)
        self.spent = len(spent_names)
        self.spent_names = tuple(spent_names)
        self.labels = labels
        self.exclude = exclude
        self.slots = slots
        self.endpoints = endpoints
        self.only = only


def _said_spent(names: Sequence[str]) -> str:
    shown = ", ".join(map(repr, names[:_MOST_NAMES]))
    shown += f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
    whose, they = ("its", "it is") if len(names) == 1 else ("their", "they are")
    return (
        f"{shown} said that {whose} account has no quota left (insufficient_quota): {they} out of service until added "
        "again; pay, then drain and add the endpoint"
    )


class QuotaExceeded(NoEndpoint):
    """A request reserves more tokens than a whole quota has, so no wait could help.

    Fields: those of `NoEndpoint`, `tokens` (the estimate) and `most` (the largest quota that it could count for).
    """

    def __init__(
        self, labels: frozenset[str], exclude: frozenset[str], endpoints: int, slots: int, tokens: int, most: int
    ) -> None:
        super().__init__(labels, exclude, endpoints, slots)
        self.tokens = tokens
        self.most = most
        self.args = (
            f"the request reserves {tokens} tokens, and the largest quota of an endpoint that could serve it has "
            f"{most} a minute; ask for fewer, or raise tokens_per_min",
        )


class UnknownEndpoint(BalancerError, KeyError):
    """No endpoint of the pool has this name. Fields: `url` (the name given), `known` (some names that exist)."""

    def __init__(self, url: str, known: Iterable[str]) -> None:
        self.url = url
        self.known = tuple(known)
        from difflib import get_close_matches  # imported here: only for errors, and slow

        near = get_close_matches(url, self.known, n=3, cutoff=0.0)
        super().__init__(f"no endpoint {url!r} among the {len(self.known)} of the pool; nearest: {near}")

    def __str__(self) -> str:
        return str(self.args[0])  # str() of a KeyError would show the repr


class DuplicateEndpoint(BalancerError, ValueError):
    """An active endpoint of the pool has this name already. Field: `url`, the name of the new one."""

    def __init__(self, url: str, known: str | None = None) -> None:
        known_as = f", as {known!r}" if known not in (None, url) else ""
        super().__init__(
            f"endpoint {url!r} is in the pool already{known_as}; to change it, use update(); for one URL with "
            "two keys, give each a name="
        )
        self.url = url


class LeaseError(BalancerError):
    """A lease was released twice, or to a pool that did not grant it. Nothing was changed. Field: `lease_id`."""

    def __init__(self, lease_id: int, reason: str) -> None:
        super().__init__(f"lease {lease_id}: {reason}")
        self.lease_id = lease_id


class PoolForked(BalancerError):
    """A forked process used the pool of its parent. Field: `parent`, the process id of the parent."""

    def __init__(self, parent: int) -> None:
        super().__init__(
            f"this pool belongs to process {parent}, and this process is a fork of it; a pool serves the threads of "
            "one process: make one in each process, after it has started"
        )
        self.parent = parent


class CommandStopped(SystemExit):
    """A signal stopped the command. `code` is 128 + the signal's number; notes say what was done and what was not.

    It is a `SystemExit`, so code that catches `Exception` does not catch it.
    """


class StrategyError(BalancerError):
    """A strategy broke its contract, for example it picked a full endpoint. Field: `strategy`."""

    def __init__(self, strategy: str, reason: str) -> None:
        super().__init__(f"strategy {strategy!r} {reason}")
        self.strategy = strategy


class ConfigError(BalancerError):
    """A setting cannot be used. Field: `problems`, one line for each thing to fix."""

    def __init__(self, problems: str | Iterable[str]) -> None:
        self.problems = (problems,) if isinstance(problems, str) else tuple(problems)
        super().__init__("\n".join(self.problems))


class PackageError(BalancerError):
    """A problem package cannot be read. Field: `problems`, one line for each thing to fix."""

    def __init__(self, problems: str | Iterable[str]) -> None:
        self.problems = (problems,) if isinstance(problems, str) else tuple(problems)
        super().__init__("\n".join(self.problems))


class EndpointError(BalancerError):
    """The endpoint is at fault, not the caller or the program. The call may be tried elsewhere.

    Fields: `endpoint` (its URL; None while it is unknown) and `reason`.
    """

    def __init__(self, reason: str, *, endpoint: str | None = None) -> None:
        super().__init__(f"{endpoint}: {reason}" if endpoint else reason)
        self.reason = reason
        self.endpoint = endpoint


class QuotaSpent(EndpointError):
    """The account of the endpoint has no quota left (`insufficient_quota`), so no retry there can succeed.

    The pool takes the endpoint, and those with the same quota, out of service. The call is tried elsewhere.
    """


class CannotTell(EndpointError):
    """The endpoint answered, but the result of the call is unknown. The call is tried elsewhere.

    The outcome is ignored. For ends that either the endpoint or the call may have caused: a limit of the endpoint that
    is lower than what was asked for, a kill of unknown origin, output that the program may have printed itself.
    """


class NotExecuted(BalancerError):
    """A program was not run, because every endpoint that could run it failed. It says nothing about the program.

    Fields: `reason`, how often it was tried, and the last failure; `unable`, whether it was not tried, because no
    endpoint runs its language.
    """

    def __init__(self, reason: str, *, unable: bool = False) -> None:
        super().__init__(f"the program was not run: {reason}")
        self.reason = reason
        self.unable = unable


class EndpointOverloaded(EndpointError):
    """The endpoint said that it is overloaded. Field: `retry_after_s` in seconds, or None."""

    def __init__(self, reason: str, *, endpoint: str | None = None, retry_after_s: float | None = None) -> None:
        super().__init__(reason, endpoint=endpoint)
        self.retry_after_s = retry_after_s


# Errors by which a pool refuses an acquire, or a change. Nothing was changed then.
REFUSALS = frozenset(
    (
        AcquireTimeout,
        BalancerError,
        ConfigError,
        DuplicateEndpoint,
        LeaseError,
        NoEndpoint,
        PoolClosed,
        PoolForked,
        QuotaExceeded,
        StrategyError,
        TooManyWaiters,
        UnknownEndpoint,
        WaitInCoroutine,
    )
)
