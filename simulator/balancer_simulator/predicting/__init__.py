"""Predictions from a fitted scenario: the end of a run, how often it is right, a better setting.

Every interval comes of fits to the calls drawn again, with one run each: it allows for what few calls leave unknown and
for what chance does.
"""
