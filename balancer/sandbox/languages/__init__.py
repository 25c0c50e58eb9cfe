"""Languages of programs: the built-in table, and what plugins add to it."""
