"""Scenarios as data: callers, endpoints, faults, and the policies to compare.

Entry points: `scenario.Scenario`, and `load_scenario` for a file.
"""
