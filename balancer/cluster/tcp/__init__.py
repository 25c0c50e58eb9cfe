"""The house over TCP: messages as bytes, the server around an owner, a holder's connection. Needs the extra `serve`."""
