"""One process that asks for much, or says what cannot be, is nobody else's outage."""

import math
import struct
from dataclasses import fields, is_dataclass
from itertools import count
from unittest.mock import patch

import msgspec
import pytest

from balancer import Endpoint, HealthSettings, Pool, QuotaSettings, TooManyWaiters
from balancer.answers import Load
from balancer.cluster.protocol import messages as m
from balancer.cluster.protocol.channel import MOST_WORDS, Channel
from balancer.cluster.tcp.codec import WireError, encoded, read_from_member
from balancer.core import Core
from balancer.endpoint import Hint, LeaseTerms, Outcome
from balancer.strategy import Request
from tests.cluster.told import Told

_SLOTS = 4
_TOKENS = 100_000


def _told(**rules):
    quota = "q" if "quotas" in rules else None
    pool = Pool([Endpoint("http://a/", capacity=_SLOTS, quota=quota)], **rules)
    return Told(pool.engine.core)


def _asks(first, many, **kinds):
    """Return requests of one member. `exclude`: each is of a kind of its own."""
    distinct = kinds.pop("distinct", False)
    made = [Request(exclude=frozenset({str(i)} if distinct else ())) for i in range(many)]
    return [
        m.LeaseRequested(first + i, request, 0, kinds.get("timeout_s", 3600.0), 0.0, 1)
        for i, request in enumerate(made)
    ]


def test_what_one_process_may_have_waiting_is_bounded_and_it_is_told_so():
    told = _told()
    said = told.say(*_asks(1, _SLOTS + m.MOST_WAITING + 3))
    refused = [word for word in said if isinstance(word, m.RequestRefused)]
    assert [word.number for word in refused] == [_SLOTS + m.MOST_WAITING + each for each in (1, 2, 3)]
    error = m.error_of(refused[0].error, refused[0].facts)
    assert isinstance(error, TooManyWaiters)
    assert str(error) == (
        "10000 callers of this process wait already, and a shared pool lets 10000 of each process wait; ask for fewer "
        "leases at once"
    )
    told.say(*_asks(20_000, 1), who="b")
    assert [len(waits) for _, _, waits in told.coordinator.sessions()] == [m.MOST_WAITING, 1], "others are not counted"


def test_who_says_much_at_once_is_heard_in_turns_with_the_others():
    """The server hears nobody while it handles what one process said."""
    told = _told()
    told.frame(who="b")
    told.coordinator.receive(told.frame(*_asks(1, 5000)), told.now)
    told.hear()
    turns = 0
    while told.coordinator.due_s < told.now:
        before = sum(len(waits) for _, _, waits in told.coordinator.sessions())
        told.coordinator.tick(told.now)
        assert sum(len(waits) for _, _, waits in told.coordinator.sessions()) - before <= 32
        turns += 1
    assert turns >= 150
    assert [len(waits) for _, _, waits in told.coordinator.sessions()] == [0, 5000 - _SLOTS]


@pytest.mark.parametrize("how", ["it is gone", "all time out"])
def test_the_waits_of_a_process_end_together(how):
    """After each of them, the core would look at all that wait: 1 000 x 1 000, with a quota or with several slots."""
    told = _told(quotas={"q": QuotaSettings(requests_per_min=1)})
    told.say(*_asks(1, 300, distinct=True, timeout_s=10.0))
    with patch.object(Core, "_serve", autospec=True, side_effect=Core._serve) as serve:
        if how == "it is gone":
            told.coordinator.vanished(m.MemberId("a", "1"), told.now)
        else:
            told.now = 11.0
            told.coordinator.tick(told.now)
        assert serve.call_count <= 5
    assert [len(waits) for _, _, waits in told.coordinator.sessions()] == ([] if how == "it is gone" else [0])


def test_a_frame_has_no_more_words_than_are_read_in_a_moment():
    """200 000 words in one frame took 10 s to read, in which a server heard nobody."""
    told, words = _told(), _asks(1, MOST_WORDS + 1)
    with pytest.raises(WireError, match="a frame has 4097 words; at most 4096 are allowed"):
        read_from_member(encoded(told.frame(*words))[4:])
    channel = Channel(1.0)
    for word in words:
        channel.say(word)
    assert [len(some) for _, some in channel.frames(0.0)] == [MOST_WORDS, 1], "so a member says it in several"


# -- numbers that cannot be ----------------------------------------------------------------------------

_NUMBERS = (-1, 2**63, 2**64 - 1, -(2**63), 10**12, -1.0, 1e308, -1e308, math.inf, -math.inf, math.nan)


def _with(value, number):
    """Yield copies of a word in which one of its numbers is this one."""
    for field in fields(value):
        held = getattr(value, field.name)
        if is_dataclass(held):
            yield from (_put(value, field.name, changed) for changed in _with(held, number))
        elif isinstance(held, int | float) and not isinstance(held, bool):
            yield _put(value, field.name, number)


def _put(value, name, held):
    """Return a copy with this field, whatever its own checks say, as a stranger's bytes would have it."""
    changed = object.__new__(type(value))
    for field in fields(value):
        object.__setattr__(changed, field.name, held if field.name == name else getattr(value, field.name))
    return changed


_TOKEN = m.LeaseToken(2, 1)
_FULL = Request(slots=1, tokens=10, terms=LeaseTerms("somebody", ttl_s=5.0, leak_after_s=5.0))
_LOAD = Load(application_utilization=0.5, cpu_utilization=0.5, mem_utilization=0.5, rps_fractional=5.0, eps=0.0)
_WORDS = (
    m.LeaseRequested(50, _FULL, 1, 5.0, 1.0, 2),
    m.RequestAmended(1, _FULL),
    m.RequestCancelled(1),
    m.LeaseEnded(_TOKEN, Outcome.OVERLOAD, 1.0, Hint(retry_after_s=1.0)),
    m.LeaseEnded(_TOKEN, Outcome.SUCCESS, 1.0),
    m.TokensUsed(_TOKEN, 5),
    m.LoadReported(_TOKEN, _LOAD),
)


@pytest.mark.parametrize("number", _NUMBERS, ids=str)
@pytest.mark.parametrize("word", _WORDS, ids=lambda word: type(word).__name__)
def test_no_number_in_a_word_takes_the_pool_from_others(word, number):
    """It is refused with the connection, or others lease as before: at once, or when a rest of at most 1 s is over."""
    for changed in _with(word, number):
        told = _told(
            quotas={"q": QuotaSettings(tokens_per_min=_TOKENS, estimate=10)},
            health=HealthSettings(max_cooldown_s=1.0),
        )
        numbers = count(1)
        told.say(*(m.LeaseRequested(next(numbers), Request(), 0, 10.0, 0.0, 1) for _ in range(_SLOTS - 1)))
        frame = told.frame(changed)
        try:
            heard = read_from_member(encoded(frame)[4:])
        except (WireError, struct.error, OverflowError, msgspec.MsgspecError):
            continue
        told.coordinator.receive(heard, told.now)
        told.coordinator.vanished(m.MemberId("a", "1"), told.now)
        told.now += 2.0
        told.coordinator.tick(told.now)
        asked = m.LeaseRequested(1, Request(), 0, 0.0, 0.0, 1)
        assert told.granted(told.say(asked, who="b")).shares, changed
        rows, _, _ = told.coordinator._core.counters(told.now)
        assert all(0.0 <= row.busy_s < 1e6 for row in rows), changed
