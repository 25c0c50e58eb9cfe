"""Results of a run, on disk and as data."""
