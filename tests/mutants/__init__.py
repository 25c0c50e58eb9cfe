"""Mistakes in the critical sections, one a file, each with the test that must find it."""
