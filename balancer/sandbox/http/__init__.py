"""Shared parts of executors for HTTP servers, for any API.

- `adapter`: the base class of an executor, and its plugin hook.
- `builds`: how a program of the table of languages is built and started, and which version of a language is used.
- `script`: a run by a shell script, for servers that run scripts.
- `answers`: the end of a program, and when an end says nothing about it.
- `client`: one request with a deadline and a size limit; errors become an `EndpointError` without secrets.
- `connections`: the connections of that client, by aiohttp.

The APIs are in `sandbox.servers`, a module each.
"""
