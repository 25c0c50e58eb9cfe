"""One pool for many processes: its protocol, that protocol over TCP, and over Ray."""
