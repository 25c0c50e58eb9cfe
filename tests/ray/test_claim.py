"""Which actor of a pool counts: in whatever order two of them read and write, no record is overlooked. Without Ray."""

import pytest

from balancer.cluster.protocol import CoordinatorRecord
from balancer.cluster.protocol.messages import MemberId
from balancer.ray.claim import ActorClaim, claim_times

_TIMES = claim_times(10.0)
_RECORD = CoordinatorRecord(7, 10.0, frozenset({MemberId("a", "1"), MemberId("b", "2")}))


class _Kept:
    """A store in memory. Before the `at`th call that comes it does something else, once."""

    def __init__(self):
        self.texts = {}
        self.down = False
        self.calls = 0
        self.at, self.first = -1, lambda: None

    def _come(self):
        if self.down:
            raise OSError("down")
        self.calls += 1
        if self.calls == self.at:
            self.at = -1
            self.first()

    def before(self, call, act):
        self.calls, self.at, self.first = 0, call, act

    def get(self, name):
        self._come()
        return self.texts.get(name)

    def put(self, name, text):
        self._come()
        self.texts[name] = text

    def drop(self, name):
        self._come()
        self.texts.pop(name, None)


class _Time:
    def __init__(self):
        self.now_s = 100.0

    def __call__(self):
        return self.now_s


def _claimed(kept, time, pool="p", times=_TIMES):
    return ActorClaim(pool, times, kept, time)  # it stands in for Ray's store


def test_the_first_coordinator_knows_that_nobody_holds_anything():
    last = _claimed(_Kept(), _Time()).last
    assert last is not None
    assert last.holders == frozenset()


def test_the_next_one_knows_the_members_and_waits_for_as_long_as_the_promises_of_the_one_before_last():
    kept = _Kept()
    _claimed(kept, _Time()).keep(_RECORD)
    last = _claimed(kept, _Time(), times=claim_times(1.0)).last
    assert last == CoordinatorRecord(7, 12.5, _RECORD.holders)


def test_one_that_died_before_it_kept_anything_leaves_nothing_known():
    kept = _Kept()
    _claimed(kept, _Time()).keep(_RECORD)
    _claimed(kept, _Time())
    assert _claimed(kept, _Time()).last is None


@pytest.mark.parametrize("call", range(1, 4))
def test_a_record_that_counts_is_seen_by_the_next_one_wherever_that_comes_between(call):
    kept = _Kept()
    _claimed(kept, _Time()).keep(CoordinatorRecord(6, 10.0, frozenset()))
    old = _claimed(kept, _Time())
    fresh = []
    kept.before(call, lambda: fresh.append(_claimed(kept, _Time())))
    try:
        old.keep(_RECORD)
        counts = True
    except OSError:
        counts = False
    kept.at = -1
    new = fresh[0] if fresh else _claimed(kept, _Time())
    seen = new.last is not None and new.last.holders == _RECORD.holders
    assert seen or not counts


@pytest.mark.parametrize("call", range(1, 5))
def test_a_record_that_counts_is_seen_wherever_it_comes_between_what_the_next_one_does(call):
    kept = _Kept()
    old = _claimed(kept, _Time())
    counts = []

    def keep():
        try:
            old.keep(_RECORD)
            counts.append(True)
        except OSError:
            counts.append(False)

    kept.before(call, keep)
    new = _claimed(kept, _Time())
    seen = new.last is not None and new.last.holders == _RECORD.holders
    assert counts
    assert seen or not counts[0]


def test_a_coordinator_that_is_not_told_that_it_is_the_one_is_sure_for_a_fifth_of_a_ttl():
    kept, time = _Kept(), _Time()
    claim = _claimed(kept, time)
    time.now_s += 1.9
    assert claim.sure
    time.now_s += 0.1
    assert not claim.sure
    kept.down = True
    with pytest.raises(OSError, match="down"):
        claim.look()
    assert not claim.sure
    assert claim.why_not().endswith("so it grants nothing: down")
    kept.down = False
    assert claim.look()
    assert claim.sure


def test_a_coordinator_whose_place_is_taken_is_not_sure_at_once():
    kept = _Kept()
    claim = _claimed(kept, _Time())
    assert claim.sure
    _claimed(kept, _Time())
    assert claim.sure, "it has not looked, and the other one still waits"
    with pytest.raises(OSError, match="another one hosts the pool"):
        claim.keep(_RECORD)
    assert not claim.look()
    assert claim.lost
    assert not claim.sure
