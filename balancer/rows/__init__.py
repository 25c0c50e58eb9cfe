"""Rows of data sets: the schemas of their columns, and the forms of their tests."""
