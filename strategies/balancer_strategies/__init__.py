"""The built-in strategies, one a file; each is a plugin, and each is a load metric x a selection rule."""
