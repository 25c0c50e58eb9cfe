"""Tools for authors of strategies, and for tests of code that uses a pool.

- `clock`: a clock that moves only when told to.
- `nodes`: a writable node, to drive a strategy by hand.
- `conformance`: the contract of a strategy as one call, `check_strategy(MyStrategy)`; needs Hypothesis.
- `machine`: any calls on a pool, as a state machine of Hypothesis; `model`: what a pool should be; `watched`: what a
  strategy hears and picks.
- `checks`: what must hold of a strategy by itself.
- `doubles`: a lender, for tests that call the core.

Nothing in production imports this package.
"""

from balancer.testing.clock import ManualClock

__all__ = ["ManualClock"]
