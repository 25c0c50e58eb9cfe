"""From a trace to a scenario: how long calls take, what a server does with several at once, who asks, what goes wrong.

The door is `fitting.fit.fit_trace`. Nothing is run here: what a fitted scenario predicts is for `predicting` to say.
"""
