"""Executors: run a program on a server with one of several APIs, or isolated on this machine."""
