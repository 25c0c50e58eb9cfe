"""Callers and servers in virtual time: arrivals, calls, faults. Only `run` uses this package; it has the pool's
side.
"""
