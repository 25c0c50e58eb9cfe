"""The server of a shared pool, hosted by an actor of a Ray cluster."""
