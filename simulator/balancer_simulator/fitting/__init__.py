"""Fits: a scenario from a trace.

The door is `fitting.fit.fit_trace`. Nothing is run here: what a fitted scenario predicts is for `predicting` to say.
"""
