"""Adapters: one module for each API of a server that runs programs. The registry finds each; no list names it."""
