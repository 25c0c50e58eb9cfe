"""Try a strategy, a capacity or a number of workers in virtual time, before anyone pays for it."""
