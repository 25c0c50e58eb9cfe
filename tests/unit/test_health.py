"""Who is ejected, for how long, and how it comes back: the core with health on, by example."""

import random
from contextlib import suppress

import pytest

from balancer import EndpointOverloaded, Pool
from balancer.core.events import Spared
from balancer.core.states import MEMBERSHIP, TRANSITIONS, Health, HealthEvent, MembershipEvent, MembershipState
from balancer.endpoint import Endpoint, Hint, Outcome
from balancer.errors import AcquireTimeout
from balancer.settings.rules import HealthSettings
from balancer.testing.clock import ManualClock
from tests.unit.ruled import FAILURE, OVERLOAD, SUCCESS, Ruled

# One test at a time: no own rate, no slow start, unless a test is about it.
ROW = {"consecutive_failures": 3, "success_rate": 0.0, "slow_start_s": 0.0, "cooldown_s": 5.0, "max_cooldown_s": 300.0}
OWN = ROW | {"consecutive_failures": 0, "success_rate": 0.5}


def ejected(url: str = "a", *, of: int | list[Endpoint] = 2, jitter: float = 1.0, **settings: object) -> Ruled:
    """Return a core one of whose endpoints has just been ejected, at 0 s for 5 s."""
    ruled = Ruled(of, health=ROW | settings, jitter=jitter)
    ruled.call(url, FAILURE, times=3)
    assert ruled.out() == [url]
    return ruled


# -- tests ---------------------------------------------------------------------------------------------


def test_so_many_failures_in_a_row_eject():
    ruled = Ruled(2, health=ROW)
    ruled.call("a", FAILURE, times=2)
    ruled.call("a", SUCCESS)
    ruled.call("a", FAILURE, times=2)
    assert ruled.out() == []
    ruled.call("a", OVERLOAD)  # is as bad as a failure
    assert ruled.health() == {"a": "ejected", "b": "healthy"}
    assert ruled.limits() == {"a": 0, "b": 1}
    assert ruled.get("a") is None


def test_overloads_do_not_eject_while_half_of_the_others_are_overloaded_too():
    ruled = Ruled(3, health={**ROW, "max_ejected_share": 1.0})
    ruled.call("b", OVERLOAD)
    ruled.call("a", OVERLOAD, times=20)
    ruled.call("a", FAILURE, times=2)
    assert ruled.out() == []
    ruled.call("a", FAILURE)
    assert ruled.out() == ["a"]


_ENDS = {"s": SUCCESS, "f": FAILURE, "o": OVERLOAD, "i": Outcome.IGNORED, "t": FAILURE}
_LONG = {"preset": "long_calls", "max_ejected_share": 1.0}
_KEPT = OWN | {"decay_s": 1e6}


def play(ruled: Ruled, script: str) -> None:
    """Do step after step to "a", the first of two endpoints.

    A call succeeds (s), fails (f), is overloaded (o; `o:7` asks for a rest of 7 s), says nothing (i) or takes too long
    (t). A ping is answered (p+) or not (p-), or runs a program (P+). `@5` lets it be 5 s; `=ejected` says how it must
    stand then, `due=9` when something must be due. `f*3` is f three times.
    """
    for step in script.split():
        what, _, times = step.partition("*")
        kind, _, rest = what.partition(":")
        hint = Hint(retry_after_s=float(rest) if rest else None, timed_out=kind == "t")
        for _ in range(int(times or 1)):
            if what[0] in "pP":
                ruled.ping("a", ok=what[1] == "+", conclusive=what[0] == "P")
            elif what[0] == "@":
                ruled.at(float(what[1:]))
            elif what[0] == "=":
                assert ruled.health() == {"a": what[1:], "b": "healthy"}, f"{step} in {script}"
            elif what.startswith("due="):
                assert ruled.core.due_s == float(what[4:]), f"{step} in {script}"
            else:
                ruled.call("a", _ENDS[kind], hint=hint)


_SCRIPTS: dict[str, tuple[dict[str, object], str]] = {
    "what says nothing of it neither counts nor breaks a row": (ROW, "f i f i f =ejected"),
    "its own success rate is low, of enough outcomes": (OWN, "s f f s f f s f f =healthy f =ejected"),
    "half and half is not below one half": (OWN, "s f " * 50 + "=healthy"),
    "1000 successes of ten minutes ago are worth 2e-6": (OWN | {"decay_s": 30.0}, "s*1000 @600 f*10 =ejected"),
    "successes that were only counted are booked before it is judged": (_KEPT, "s*20 f*19 =healthy f*2 =ejected"),
    "and before it is judged by a failed ping": (_KEPT, "f*9 s*20 p- =healthy"),
    "failed pings count in the row of failures": (ROW, "p- f =healthy p- =ejected"),
    "a good ping takes back the failed ones, and no failed call": (
        ROW,
        "p- p+ " * 20 + "=healthy " + "f p+ " * 3 + "=ejected",
    ),
    "a good ping ends no cooldown and is no probe": (ROW, "f*3 p+ =ejected @5 p+ =half_open"),
    "a program that ran is as good as a probe": (ROW, "f*3 P+ =ejected @5 P+ =healthy"),
    **{
        f"who asks for {rest or 'nothing'} gets no rest": (ROW, f"o{rest} =healthy @1 o{rest}*2 =ejected due=6")
        for rest in ("", ":0", ":-1", ":nan")
    },
    "who asks for a rest gets it": (ROW, "o:1 =resting @1 o:1 =resting due=2"),
    "no more is believed than the longest cooldown": (ROW, "o:inf =resting due=300"),
    "it is ejected as it asks for a rest, and gets all of it": (ROW, "f*2 o:60 =ejected due=60"),
    "a probe that is told to come back later does": (ROW, "f*3 @5 o:100 =ejected due=105"),
    # A rest is no judgement, and wipes none out: else `Retry-After` would be a way to stay in service for ever.
    "overloads in a row that ask for rests eject as well": (ROW, "o:1 @1 =healthy o:1 @2 =healthy o:1 =ejected"),
    "a probe that says nothing decides nothing, and the next is one": (ROW, "f*3 @5 i =half_open f =ejected"),
    "it fails again while it starts slowly": (
        ROW | {"slow_start_s": 100.0},
        "f*3 @5 s @60 =slow_start f*3 =ejected due=65",
    ),
    "a slow start ends where the clock steps by 0.016 s": (
        ROW | {"slow_start_s": 0.001},
        "@1e14 f*3 @100000000000005 s @100000000000006 =healthy",
    ),
    "to be slow is a failure": ({"max_ejected_share": 1.0}, "t*5 =ejected"),
    "to be slow is none of one for long calls": (_LONG, "t*5 =healthy"),
    "to fail is one for long calls as well": (_LONG, "f*3 =ejected"),
    "a probe that was ignored ends its time as well": (_LONG, "f*3 @5 i @60 =half_open f =ejected"),
}


@pytest.mark.parametrize("what", _SCRIPTS)
def test_how_it_stands_after(what):
    settings, script = _SCRIPTS[what]
    play(Ruled(2, health=settings), script)


# -- how many ------------------------------------------------------------------------------------------


_MOST = {  # endpoints: share: how many of them may be ejected
    1: {0.5: 0, 1.0: 0},
    2: {0.0: 0, 0.1: 1, 0.5: 1, 1.0: 1},
    3: {0.1: 1, 0.5: 1, 0.7: 2, 1.0: 2},
    4: {0.24: 0, 0.5: 2},
    5: {0.1: 0, 0.5: 2, 1.0: 4},
    10: {0.3: 3, 0.7: 7},
    50: {0.0: 0, 0.1: 5, 0.5: 25, 0.58: 29, 1.0: 49},
}


@pytest.mark.parametrize(
    ("endpoints", "share", "most"), [(n, share, most) for n, row in _MOST.items() for share, most in row.items()]
)
def test_no_more_are_ejected_than_the_share_the_next_one_counted(endpoints, share, most):
    ruled = Ruled(endpoints, health=ROW | {"max_ejected_share": share})
    for url in sorted(ruled.urls):
        for _ in range(5):
            if (lease := ruled.get(url)) is not None:
                ruled.give(lease, FAILURE)
    assert len(ruled.out()) == most


def spared(ruled: Ruled) -> dict[str, str]:
    return {stats.url: stats.spared for stats in ruled.core.counters(ruled.now)[0] if stats.spared}


def test_one_that_could_not_be_ejected_is_told_of_once_and_shown_for_as_long_as_it_fails():
    ruled = ejected("a", of=3)
    ruled.core.listen({Spared})
    ruled.call("b", FAILURE, times=10)
    told = list(ruled.core.journal.happened)
    assert told == [Spared(ruled.now, "b", "3 failures in a row", 1, 3)]
    assert told[0].but == "at most 1 of 3 may be (max_ejected_share)"
    assert spared(ruled) == {"b": "10 failures in a row"}
    assert repr(ruled.core).startswith(
        "scan: 3 active, 1 of them out of service (a), "
        "1 would be ejected (b: 10 failures in a row), but no more may be (max_ejected_share); "
    )
    ruled.at(5.0)
    assert ", 1 on trial (a), 1 would be" in repr(ruled.core)
    ruled.call("a", SUCCESS)  # the probe
    ruled.call("b", FAILURE)
    assert (ruled.out(), spared(ruled)) == (["b"], {})


def test_one_that_was_spared_is_not_any_more_after_five_successes_in_a_row():
    ruled = Ruled(1, health=ROW)  # the last one is never ejected
    ruled.core.listen({Spared})
    ruled.call("a", FAILURE, times=3)
    ruled.call("a", SUCCESS, times=3)
    for now, left in ((5.0, True), (10.0, True), (15.0, False)):  # the last one is counted with the next
        ruled.at(now)
        ruled.call("a", SUCCESS)
        assert bool(spared(ruled)) is left
    ruled.call("a", FAILURE, times=3)
    assert [type(event) for event in ruled.core.journal.happened] == [Spared, Spared]


def test_those_that_would_be_back_first_are_brought_back_first():
    ruled = Ruled(6, health=ROW)
    for now, url in enumerate("cab"):
        ruled.at(float(now))
        ruled.call(url, FAILURE, times=3)
    assert ruled.out() == ["a", "b", "c"]
    ruled.core.drain("f", 3.0)
    assert ruled.out() == ["a", "b"]


def test_one_that_is_drained_and_added_again_has_a_good_probe_and_starts_afresh():
    ruled = ejected("a", of=3)
    ruled.core.drain("a", 1.0)
    assert ruled.health() == {"a": "", "b": "healthy", "c": "healthy"}
    assert ruled.core.due_s == float("inf")
    ruled.core.add(Endpoint("a"), 2.0)
    ruled.call("a", SUCCESS)
    assert ruled.health()["a"] == "healthy"
    ruled.call("a", FAILURE, times=2)
    assert ruled.out() == []


# -- cooldown ------------------------------------------------------------------------------------------


def test_jitter_is_drawn_anew_each_time_within_its_bounds():
    ruled = Ruled(50, health=ROW)
    ruled.core._rules._watch._random = random.Random(1).random  # health is on
    lasts_s = set()
    for url in sorted(ruled.urls)[:25]:
        ruled.call(url, FAILURE, times=3)
    while ruled.core.due_s < 100.0:
        lasts_s.add(ruled.core.due_s)
        ruled.at(ruled.core.due_s)
    assert len(lasts_s) == 25
    assert 2.5 <= min(lasts_s) < 3.0
    assert 4.5 < max(lasts_s) < 5.0


def test_cooldowns_double_twice_then_grow_fourfold_up_to_the_longest():
    ruled = ejected(max_cooldown_s=1000.0)
    lasts_s = []
    for _ in range(700):  # 4**700 times the first must not overflow anything
        lasts_s.append(ruled.core.due_s - ruled.now)
        ruled.at(ruled.core.due_s)
        ruled.call("a", FAILURE)  # the probe
    assert lasts_s[:7] == [5.0, 10.0, 20.0, 80.0, 320.0, 1000.0, 1000.0]
    assert lasts_s[-1] == pytest.approx(1000.0)


def backed_off(bad_probes: int = 1, **settings: object) -> Ruled:
    """Return two endpoints, of which "a" has failed so many probes after its ejection, then one was good, just now."""
    ruled = ejected(**settings)
    for _ in range(bad_probes):
        ruled.at(ruled.core.due_s)
        ruled.call("a", FAILURE)
    ruled.at(ruled.core.due_s)
    ruled.call("a", SUCCESS)
    assert ruled.out() == []
    return ruled


def next_cooldown_s(ruled: Ruled) -> float:
    """Let "a" be ejected once more, and return for how long."""
    ruled.call("a", FAILURE, times=3)
    assert ruled.out() == ["a"]
    return ruled.core.due_s - ruled.now


@pytest.mark.parametrize(("failing", "lasts_s"), [("", 10.0), ("c", 10.0), ("cd", 5.0)])
def test_probes_that_fail_while_most_others_fail_make_no_cooldown_longer(failing, lasts_s):
    """An outage of all: once it is over, nobody has a long cooldown left from it."""
    ruled = Ruled(4, health=ROW)
    for url in "ab":
        ruled.call(url, FAILURE, times=3)
    for url in "cd":
        ruled.call(url, FAILURE, times=4)
        if url not in failing:
            ruled.call(url, SUCCESS)
    ruled.at(5.0)
    ruled.call("a", FAILURE)
    assert ruled.health() == {"a": "ejected", "b": "half_open", "c": "healthy", "d": "healthy"}
    assert ruled.core.due_s - ruled.now == lasts_s


def test_a_cooldown_grows_only_with_probes_that_fail():
    """It comes back and fails at once, again and again: each time its probe was good, so it is tried again as soon."""
    for bad_probes, lasts_s in ((0, 5.0), (1, 10.0), (2, 20.0)):
        ruled = backed_off(bad_probes)
        for _ in range(3):
            assert next_cooldown_s(ruled) == lasts_s
            ruled.at(ruled.core.due_s)
            ruled.call("a", SUCCESS)


@pytest.mark.parametrize(("successes", "lasts_s"), [(0, 10.0), (4, 10.0), (5, 5.0), (6, 5.0)])
@pytest.mark.parametrize("apart_s", [0.0, 7.0])
@pytest.mark.parametrize("slow_start_s", [0.0, 100.0])
def test_back_off_is_forgotten_after_five_successes_in_a_row(successes, lasts_s, apart_s, slow_start_s):
    """The probe is none of them; how long that takes, and whether its weight is whole by then, does not matter."""
    ruled = backed_off(slow_start_s=slow_start_s)
    for _ in range(successes):
        ruled.at(ruled.now + apart_s)
        ruled.call("a", SUCCESS)
    assert next_cooldown_s(ruled) == pytest.approx(lasts_s)


@pytest.mark.parametrize("between", ["a failed call", "a failed ping"])
def test_who_fails_now_and_then_does_not_have_its_back_off_forgotten(between):
    ruled = backed_off()
    for _ in range(5):
        ruled.call("a", SUCCESS, times=4)
        if between == "a failed call":
            ruled.call("a", FAILURE)
        else:
            ruled.core.pinged("a", False, ruled.now)
    ruled.call("a", SUCCESS)
    assert next_cooldown_s(ruled) == 10.0


# -- Retry-After ---------------------------------------------------------------------------------------


def test_an_endpoint_that_asks_for_it_is_left_alone_for_so_long_even_the_only_one():
    ruled = Ruled(1, health=ROW)
    ruled.call("a", OVERLOAD, hint=Hint(retry_after_s=7.0))
    assert ruled.health() == {"a": "resting"}
    waiter = ruled.wait()
    assert ruled.at(6.99) == []
    assert ruled.at(7.0) == [waiter]
    assert ruled.health() == {"a": "healthy"}


def test_the_longest_of_several_rests_counts():
    ruled = Ruled([Endpoint("a", capacity=3)], health=ROW)
    leases = [ruled.take() for _ in range(3)]
    for lease, rest_s in zip(leases, (5.0, 60.0, 10.0), strict=True):
        ruled.give(lease, OVERLOAD, Hint(retry_after_s=rest_s))
    assert ruled.health() == {"a": "resting"}
    ruled.at(59.0)
    assert ruled.health() == {"a": "resting"}
    ruled.at(60.0)
    assert ruled.health() == {"a": "healthy"}


def test_a_rest_asked_for_while_ejected_makes_the_cooldown_longer():
    ruled = Ruled([Endpoint("a", capacity=4), Endpoint("b")], health=ROW)
    late = ruled.take("a")
    ruled.call("a", FAILURE, times=3)
    ruled.give(late, OVERLOAD, Hint(retry_after_s=60.0))
    ruled.at(59.0)
    assert ruled.health()["a"] == "ejected"
    ruled.at(60.0)
    assert ruled.health()["a"] == "half_open"


# -- pings ---------------------------------------------------------------------------------------------


def test_a_failed_ping_is_no_probe_lease():
    ruled = ejected()
    ruled.at(5.0)
    due_s = ruled.core.due_s
    ruled.ping("a", ok=False, conclusive=True)
    assert ruled.health()["a"] == "half_open"
    assert ruled.core.due_s == due_s
    probe = ruled.take("a")
    ruled.ping("a", ok=False)
    ruled.give(probe)
    assert ruled.health()["a"] == "healthy"


# -- slow start ----------------------------------------------------------------------------------------


def test_one_that_is_back_gets_a_tenth_of_its_weight_and_more_step_by_step():
    ruled = ejected(of=[Endpoint("a", weight=2.0), Endpoint("b")], slow_start_s=10.0)
    ruled.at(5.0)
    ruled.call("a", SUCCESS)
    assert ruled.health()["a"] == "slow_start"
    del ruled.strategy.weights[:-1]
    assert ruled.strategy.weights == [("a", pytest.approx(0.2))]
    ruled.at(9.99)
    assert ruled.core.ledger.account("a").weight == pytest.approx(0.8)
    ruled.at(15.0)
    steps = [0.2, 0.4, 0.6, 0.8, 1.0, 1.2, 1.4, 1.6, 1.8, 2.0]
    assert ruled.strategy.weights == [("a", pytest.approx(weight)) for weight in steps]
    assert ruled.health()["a"] == "healthy"
    assert ruled.core.due_s == float("inf")


# -- the table -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("table", "states", "events"),
    [(TRANSITIONS, Health, HealthEvent), (MEMBERSHIP, MembershipState, MembershipEvent)],
    ids=["health", "membership"],
)
def test_every_state_can_be_entered_and_left(table, states, events):
    assert {before for before, _ in table} == set(states) == set(table.values())
    assert {event for _, event in table} == set(events)


# -- what people see ------------------------------------------------------------------------------------


@pytest.mark.parametrize("waited_s", [0.0, 6.0], ids=["ejected", "on trial"])
def test_one_that_is_drained_while_out_and_added_again_begins_with_a_probe(waited_s):
    ruled = ejected(of=[Endpoint("a", capacity=4), Endpoint("b")])
    ruled.at(waited_s)
    ruled.core.drain("a", ruled.now)
    ruled.core.add(Endpoint("a", capacity=4), ruled.now)
    assert ruled.health()["a"] == "half_open"
    probe = ruled.take("a")
    assert ruled.get("a") is None, "one call at a time"
    ruled.give(probe, FAILURE)
    assert ruled.health()["a"] == "ejected"


def test_who_waits_in_vain_is_told_how_many_are_out():
    ruled = ejected()
    ruled.take("b")
    waiter = ruled.wait(timeout_s=1.0)
    ruled.now += 1.0
    ruled.core.cancel(waiter, ruled.now, timed_out=True)
    assert isinstance(waiter.error, AcquireTimeout)
    assert waiter.error.out == 1
    assert waiter.error.reasons == {"ejected": 1, "full": 1}
    assert "; of 2 endpoints 1 is ejected, 1 is full; add endpoints or capacity, " in str(waiter.error)
    assert "2 active, 1 of them out of service (a); " in repr(ruled.core)


@pytest.mark.parametrize(("count", "named"), [(1, " (http://0/)"), (3, " (http://0/, http://1/, http://2/)"), (4, "")])
def test_a_few_endpoints_out_of_service_are_named_without_their_secrets(count, named):
    pool = Pool([f"http://{n}/?key=s3cret" for n in range(9)], strategy="first", clock=ManualClock())
    for _ in range(count):
        with suppress(EndpointOverloaded), pool.lease():
            raise EndpointOverloaded("429", retry_after_s=7.0)
    assert f": 9 active, {count} of them out of service{named}; " in repr(pool)


# -- calls that last -------------------------------------------------------------------------------


def test_the_preset_for_long_calls_sets_what_is_not_given():
    settings = HealthSettings(preset="long_calls", cooldown_s=9.0)
    assert (settings.timeouts, settings.probe_s, settings.success_rate) == ("ignore", 30.0, 0.0)
    assert settings.cooldown_s == 9.0
    assert HealthSettings().timeouts == "count"


def test_a_probe_that_has_run_for_long_enough_has_gone_well():
    ruled = Ruled(2, health=_LONG)
    ruled.call("a", Outcome.FAILURE, times=3)
    ruled.at(5.0)
    probe = ruled.take("a")
    assert ruled.get("a") is None
    waiter = ruled.wait("a")
    assert ruled.at(34.9) == []
    ruled.at(35.0)
    assert ruled.core.ledger.account("a").health is Health.SLOW_START
    assert ruled.give(probe, Outcome.SUCCESS) == [waiter]
