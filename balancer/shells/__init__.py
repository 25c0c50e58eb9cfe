"""Shells around the core: the parts that have a clock, a lock or a thread."""
