"""A run under way: threads, tries, steps."""
