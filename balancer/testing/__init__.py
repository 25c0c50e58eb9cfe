"""Tools for authors of strategies, and for tests of code that uses a pool.

- `clock`: a clock that moves only when told to.
- `nodes`: a writable node, to drive a strategy by hand.
- `model`, `model_health`: a naive model of the pool, and of its rules (health, limits, caps of hosts).
- `refereed_core`: a core that is compared with the model at each call, in any shell; `referee`, `agreement`: what must
  hold; `doubles`: test doubles.
- `reference_check`: a refereed core with a clock, to drive by hand.
- `walk`, `draws`: a long random walk over all calls, under any rules; works without Hypothesis.
- `call_sequence`: calls as data; the fewest of them that fail.
- `checks`: what must hold of a strategy by itself; `backlog`: what holds of the shares of holders around it.
- `conformance`: the contract of a strategy as one call, `check_strategy(MyStrategy)`; needs Hypothesis.

Nothing in production imports this package.
"""

from balancer.testing.clock import ManualClock

__all__ = ["ManualClock"]
