"""Pools: `Pool` for threads, `AsyncPool` for tasks, and the pool of a member of a cluster."""
