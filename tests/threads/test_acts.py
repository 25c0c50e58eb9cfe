"""Acts that a generator wants: what was begun is ended, whatever comes between."""

from functools import partial

from balancer.shells.driver import Acts, follow
from tests.threads.interrupts import points


def test_an_interrupt_at_any_point_ends_what_was_begun():
    ended = 0
    for interrupt in points("balancer/shells/driver.py", least=5):
        said: list[str] = []

        def wants(said: list[str] = said) -> Acts[None]:
            said.append("begun")
            try:
                for _ in range(3):
                    yield int
            finally:
                said.append("ended")

        acts = wants()  # somebody has it: that it is collected would not do
        where = interrupt(partial(follow, acts))
        assert said in ([], ["begun", "ended"]), f"interrupted at {where}"
        ended += bool(where and said)
    assert ended > 5
