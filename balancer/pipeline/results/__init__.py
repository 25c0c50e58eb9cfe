"""What a run found, on disk and as data."""
