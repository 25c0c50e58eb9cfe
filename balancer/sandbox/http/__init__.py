"""What executors for HTTP servers share, whatever API they speak.

- `client`: one request, one deadline, one size; what went wrong becomes an `EndpointError` without a secret in it.
- `headers`: which headers can be sent, and which of their values are secret.
- `deadline`: the transport that keeps the deadline on the socket.

No module here knows what is asked of a server or what an answer means; `sandbox.fusion` does, for one API.
"""
