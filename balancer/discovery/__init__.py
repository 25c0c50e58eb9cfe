"""Discovery: keeps the endpoints of a pool in step with a source.

`reconcile` decides, and is pure. `sources` has the sources. `follower` has the threads.
"""
