"""A run under way: its setup, the turns of problems, and remote workers."""
