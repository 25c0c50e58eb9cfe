"""What-ifs of a scenario or a trace: `predict` the next run, `plan` the cheapest setting that keeps a goal.

Both ask one engine, `planner.Planner`. It runs a change on fits to resampled calls, once each. So an interval covers
the uncertainty of few calls, and chance.
"""
