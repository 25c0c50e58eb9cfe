"""Providers of endpoints, one in each file. The registry finds them here; a plugin may add others."""
