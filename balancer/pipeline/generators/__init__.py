"""Where inputs come from: the problem's own data, changes of it, and whatever a plugin adds.

Each module with a generator has a hook `balancer_generators`, so that it is loaded by its dotted name.
"""
