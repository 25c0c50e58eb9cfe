"""One pool for many processes (a cluster): its protocol, that protocol over TCP, and over Ray."""
