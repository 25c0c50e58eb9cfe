"""Rows of a data set, read as problems, one at a time."""
