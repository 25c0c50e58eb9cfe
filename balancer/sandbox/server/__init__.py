"""`balancer sandbox`: the local executor as a server."""
