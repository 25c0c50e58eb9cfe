"""A run under way: its setup, the turns of problems, remote workers and forecasts."""
