"""One run: the production core, driven through a scenario.

Entry points: `engine.simulate_once`, its result `record.Record`, and `disciplines.BASELINES`, the policies that are no
strategies.
"""
