"""Shells around the core: the parts that have a clock, a lock, a thread or a socket."""
