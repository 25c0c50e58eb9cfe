"""Fits: a scenario from a trace, by `fitting.fit.fit_trace`. Nothing is simulated here."""
