"""One pool for many processes (a cluster): its protocol, and that protocol over TCP."""
