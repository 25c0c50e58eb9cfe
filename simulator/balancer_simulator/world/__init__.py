"""Callers and servers in virtual time: arrivals, calls, faults.

Open to the room `run` alone, which has the pool's side of it. No module here knows a pool, a core or a strategy.
"""
