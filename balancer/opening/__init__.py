"""`Pool` and `AsyncPool`: pools that are opened from a config or at a server, and what feeds and watches a pool."""
