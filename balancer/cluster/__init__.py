"""Clusters: one pool for many processes. The protocol, and the protocol over TCP."""
