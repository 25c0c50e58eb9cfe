"""For authors of strategies, and for whoever tests code that uses a pool.

- `clock`: a clock that moves only when told to.
- `nodes`: a node that can be written to, to drive a strategy by hand.
- `model`, `model_health`: a naive model of the pool, and of what its rules (health, limits, caps of hosts) leave.
- `reference_check`, `referee`, `agreement`: what holds the real core against it; `doubles`: what they need for that.
- `walk`, `draws`: a long random walk over both, under any rules; does without Hypothesis.
- `checks`: what must hold of a strategy by itself.
- `conformance`: the contract of a strategy as one call, `check_strategy(MyStrategy)`; needs Hypothesis.
- `call_sequence`: what it found, as calls that a person can read, and as few of them as show it.
- `faults`: a faulty server by a schedule, in front of any other; `exchange`, `fault_kinds`: how.

Nothing in production imports this package.
"""

from balancer.testing.clock import ManualClock

__all__ = ["ManualClock"]
