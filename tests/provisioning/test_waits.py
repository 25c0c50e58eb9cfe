"""What a warm reserve is for: callers wait less, and more sandboxes exist."""

from tests.provisioning.waits import hour


def test_a_reserve_shortens_the_waits() -> None:
    (cold, few), (warm, more) = (hour(reserve, for_s=300.0) for reserve in (0, 6))
    assert sum(warm.waits) < sum(cold.waits)
    assert few < more <= 20.0
