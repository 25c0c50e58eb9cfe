"""What executors for HTTP servers share, whatever API they speak.

- `hook`: the plugin hook of an adapter; `adapter`: the base class of its executor.
- `builds`: how a program of the table of languages is built and started, and which version of a language is used.
- `script`: a run by a shell script, for servers that run those and do no better by themselves.
- `answers`: what came of a program, and when an end says nothing about it.
- `client`: one request, one deadline, one size; what went wrong becomes an `EndpointError` without a secret in it.
- `deadline`: the transport that keeps the deadline on the socket.

No module here knows what is asked of a server; `sandbox.fusion`, `gojudge`, `judge0` and `piston` do, each for one API:
a folder with the hook (`__init__`), the executor and the `wire` format. A new adapter is those three files.
"""
