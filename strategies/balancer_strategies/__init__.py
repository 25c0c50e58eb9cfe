"""The built-in strategies, one in each file. Each is a plugin: a load metric and a selection rule."""
