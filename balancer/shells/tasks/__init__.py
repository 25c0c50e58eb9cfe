"""Tasks of asyncio and trio over the pool for threads: only how they wait is different.

Nothing is imported here: whoever makes a pool needs no event loop.
"""
