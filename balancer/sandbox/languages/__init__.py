"""The languages that programs are written in: the built-in table, and what plugins add to it."""
