"""Tools for authors of strategies, and for tests of code that uses a pool.

- `clock`: a clock that moves only when told to.
- `nodes`: a writable node, to drive a strategy by hand.
- `model`, `model_health`: a naive model of the pool, and of its rules (health, limits, caps of hosts).
- `reference_check`, `referee`, `agreement`: comparison of the real core with the model; `doubles`: their test doubles.
- `walk`, `draws`: a long random walk over both, under any rules; works without Hypothesis.
- `checks`: what must hold of a strategy by itself.
- `conformance`: the contract of a strategy as one call, `check_strategy(MyStrategy)`; needs Hypothesis.
- `call_sequence`: a counterexample as few readable calls.
- `faults`: a faulty server by a schedule, in front of any other; `exchange`, `fault_kinds`: its parts.

Nothing in production imports this package.
"""

from balancer.testing.clock import ManualClock

__all__ = ["ManualClock"]
