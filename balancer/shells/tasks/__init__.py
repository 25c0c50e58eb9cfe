"""Tasks of asyncio and trio on top of the pool for threads: only the waiting differs.

This module imports nothing, so a pool of threads needs no event loop.
"""
