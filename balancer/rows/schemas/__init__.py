"""Schemas of rows, one file each: which columns it has, and what they mean."""
