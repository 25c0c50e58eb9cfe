"""What executors for HTTP servers share, whatever API they speak.

- `adapter`: the frame of an executor.
- `builds`: how a program of the table of languages is built and started.
- `chosen`: which version of a language is used.
- `doubts`: when an end says nothing about the program; `isolated`: what isolate's reports say.
- `client`: one request, one deadline, one size; what went wrong becomes an `EndpointError` without a secret in it.
- `headers`: which headers can be sent, and which of their values are secret.
- `deadline`: the transport that keeps the deadline on the socket.

No module here knows what is asked of a server; `sandbox.fusion`, `gojudge`, `judge0` and `piston` do, each for one API.
"""
