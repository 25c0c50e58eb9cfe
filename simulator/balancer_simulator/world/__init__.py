"""What callers and servers do in virtual time: requests come, calls take their time, faults strike.

Open to the room `run` alone, which has the pool's side of it. No module here knows a pool, a core or a strategy.
"""
