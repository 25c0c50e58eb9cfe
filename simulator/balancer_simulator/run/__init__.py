"""One run: the production core, driven through a scenario.

The doors are `engine.simulate_once`, `record.Record`, which comes of it, and `disciplines.BASELINES`, what a policy can
be besides a strategy. This room must not know that there is ever more than one run.
"""
