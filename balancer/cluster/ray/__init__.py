"""A shared pool on Ray: its server is hosted by an actor of the cluster."""
