"""The live page of a pool, in a browser and in a terminal: its content, its transport, its access control."""
