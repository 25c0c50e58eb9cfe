"""The calendar does what SimPy's own loop does with the same entries, at the same instants and in the same order."""

from collections.abc import Callable
from typing import Any

import pytest
from balancer_simulator.world.calendar import Entry, after, placer, run_to
from simpy import Environment

Seen = list[tuple[str, float]]


def _happenings(env: Environment, seen: Seen) -> None:
    """Put a bit of everything on the calendar; all instants are dyadic, and some are the same."""

    def see(what: str) -> None:
        seen.append((what, env.now))
        if what == "parent":
            after(env, 0.0, see, "child at once")
            after(env, 0.5, see, "child later")

    again, place = Entry(), placer(env)

    def ring(entry: Entry) -> None:
        see("rings")
        if env.now < 3.0:
            place(env.now + 0.75, entry)

    again.act = ring
    place(0.75, again)
    for what, at_s in (("first", 1.5), ("second", 1.5), ("parent", 1.5), ("zero", 0.0), ("end", 4.0), ("beyond", 5.0)):
        after(env, at_s, see, what)


@pytest.mark.parametrize("until_s", [0.5, 1.5, 2.25, 4.0, 6.0])
def test_it_runs_like_simpy(until_s: float) -> None:
    def seen_by(run: Callable[[Environment], Any]) -> tuple[Seen, float]:
        env, seen = Environment(), Seen()
        _happenings(env, seen)
        run(env)
        return seen, env.now

    ours = seen_by(lambda env: run_to(env, until_s))
    assert ours == seen_by(lambda env: env.run(until=until_s))
    assert ours[1] == until_s
    assert all(at_s < until_s for _, at_s in ours[0])


def test_what_goes_wrong_comes_out_and_the_clock_says_when() -> None:
    env = Environment()

    def fail(_: None) -> None:
        raise IndexError("of ours, not of the queue")

    after(env, 2.5, fail, None)
    with pytest.raises(IndexError, match="of ours"):
        run_to(env, 4.0)
    assert env.now == 2.5
