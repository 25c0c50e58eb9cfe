"""The `balancer` command, and what it says."""
