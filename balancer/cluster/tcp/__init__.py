"""The cluster protocol over TCP: codec, server, and a member's connection. Needs the extra `serve`."""
