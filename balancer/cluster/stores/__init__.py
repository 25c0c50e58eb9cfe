"""Stores for the claim and the record of a server: one file for each kind, found by where it lies."""
