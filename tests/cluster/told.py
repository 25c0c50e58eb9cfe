"""A coordinator and members that speak to it by hand, word for word, in one thread and virtual time."""

from balancer.cluster.protocol import ClusterTimes, Coordinator, CoordinatorRecord
from balancer.cluster.protocol.messages import (
    CoordinatorFrame,
    JoinRequest,
    LeasesGranted,
    MemberFrame,
    MemberId,
    SessionOffer,
    SessionStart,
)
from balancer.core import Core

_EPOCH = 2


class Told:
    """A coordinator over `core`, and members by name.

    Attributes:
        now: the time.
        coordinator: of them.
    """

    def __init__(self, core: Core) -> None:
        self.now = 0.0
        last = CoordinatorRecord(_EPOCH - 1, 3.0, frozenset())
        self.coordinator = Coordinator(core, epoch=_EPOCH, times=ClusterTimes(1e9), last=last, now=0.0)
        self._sessions: dict[str, int] = {}
        self._numbers: dict[str, int] = {}
        self._got: dict[str, int] = {}

    def frame(self, *words: object, who: str = "a") -> MemberFrame:
        """Return the next frame of a member, with these words; it joins first."""
        member = MemberId(who, "1")
        if who not in self._sessions:
            self.coordinator.receive(JoinRequest(member, 1.0), self.now)
            (offer,) = (each for _, each in self.coordinator.take_out(self.now) if isinstance(each, SessionOffer))
            self._sessions[who], self._numbers[who], self._got[who] = offer.session, 0, 0
            self.coordinator.receive(SessionStart(member, _EPOCH, offer.session, 2.0, ()), self.now)
        self._numbers[who] += 1
        sent_s = 3.0 + self._numbers[who]
        return MemberFrame(member, _EPOCH, self._sessions[who], sent_s, self._numbers[who], self._got[who], words)

    def hear(self) -> dict[str, list[object]]:
        """Return the words of the coordinator since the last time, by member."""
        found: dict[str, list[object]] = {}
        for who, message in self.coordinator.take_out(self.now):
            if isinstance(message, CoordinatorFrame):
                self._got[who.name] = max(self._got[who.name], message.number)
                found.setdefault(who.name, []).extend(message.words)
        return found

    def say(self, *words: object, who: str = "a") -> list[object]:
        """Say these words, wait until all are handled, and return the words of the answer."""
        self.coordinator.receive(self.frame(*words, who=who), self.now)
        while self.coordinator.due_s < self.now:
            self.coordinator.tick(self.now)
        return self.hear().get(who, [])

    def granted(self, words: list[object]) -> LeasesGranted:
        """Return the only grant of these words."""
        (word,) = (each for each in words if isinstance(each, LeasesGranted))
        return word
