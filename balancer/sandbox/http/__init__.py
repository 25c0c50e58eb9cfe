"""Shared parts of executors for HTTP servers, for any API.

- `hook`: the plugin hook of an adapter; `adapter`: the base class of its executor.
- `builds`: how a program of the table of languages is built and started, and which version of a language is used.
- `script`: a run by a shell script, for servers that run scripts.
- `answers`: the end of a program, and when an end says nothing about it.
- `client`: one request with a deadline and a size limit; errors become an `EndpointError` without secrets.
- `connections`: the connections of that client, kept between requests.

The APIs are in `sandbox.fusion`, `gojudge`, `judge0` and `piston`. Each is a folder with the hook (`__init__`), the
executor and the `wire` format. A new adapter is those three files.
"""
