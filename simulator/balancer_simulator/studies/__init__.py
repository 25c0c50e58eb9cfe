"""Studies: replications of a scenario, and what is known from them.

The doors are `study.run_study` and `sweep.run_sweep`. This room must not know how results are shown.
"""
