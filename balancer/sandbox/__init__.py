"""Run a program somewhere: on a server with one of several APIs, or isolated on this machine."""
