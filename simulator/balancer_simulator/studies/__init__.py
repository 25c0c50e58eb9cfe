"""Studies: replications of a scenario, and their results, by `study.run_study` and `sweep.run_sweep`."""
