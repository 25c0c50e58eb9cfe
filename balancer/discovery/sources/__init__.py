"""Built-in sources of endpoints, one a file; each is a plugin."""
