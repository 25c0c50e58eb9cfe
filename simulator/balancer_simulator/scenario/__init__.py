"""A scenario as data: who asks, what the endpoints are like, what goes wrong, which policies are compared.

The door is `scenario.Scenario`, or `load_scenario` for a file; the other modules have its parts. This room is the
lowest: it must not know that anything is ever run.
"""
