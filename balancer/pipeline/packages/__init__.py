"""Problem packages, read from folders and archives."""
