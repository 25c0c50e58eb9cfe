"""One run: the core of production, driven through a scenario."""
