"""Rows of a data set in, problems out, one at a time."""
