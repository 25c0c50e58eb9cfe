"""The executor for Piston servers."""
