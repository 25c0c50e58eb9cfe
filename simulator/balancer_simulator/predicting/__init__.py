"""Predictions from a fitted scenario: the end of a run, back-tests, a better setting.

Every interval comes from fits to resampled calls, with one simulation each. So it covers the uncertainty of few calls
and chance.
"""
