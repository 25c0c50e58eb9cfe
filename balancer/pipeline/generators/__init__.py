"""Input generators: the problem's own data, changes of it, grammars, and models.

Each module with a generator has a hook `balancer_generators`, so that it is loaded by its dotted name.
"""
