"""What executors over HTTP have in common."""
