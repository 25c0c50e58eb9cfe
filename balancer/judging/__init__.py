"""Judging: one run of a program on some endpoint, and whether its end and its output are believed."""
