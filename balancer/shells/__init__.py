"""Shells around the core: whatever has a clock, a lock, a thread or a socket."""
