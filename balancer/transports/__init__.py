"""Transports: unchanged HTTP clients, such as OpenAI's, whose requests go through a pool.

- `request_options`: what a request asks a pool for, and how often and how long it is tried.
- `forwarding`: the request as an endpoint gets it: URL, headers, and a body that may be sent again or not.
- `sessions`: requests that must go where an earlier one went, by ids, headers, cookies or a function.
- `resend`: whether a failed request may be sent again, by what was sent of it.
- `time_bound`, `bound_connections`: the deadline of an attempt in a thread, for httpx2 and httpx, and for requests.
- `errors`: what an answer says about the endpoint, and which error the client gets.
- `reports`: the server's load and the used tokens, from an answer.
- `leased_body`: the body of an answer, which holds the lease until it ends.
- `exchange`: one request and its answer, for threads and for tasks.
- `sync`, `tasks`: the transports for threads and for tasks, for httpx2 and httpx.
- `adapter`, `middleware`: the same for requests and for aiohttp.
- `clients`: ready-made OpenAI clients.

The attempt plan decides where a request goes and when it is tried again, as in `Pool.call`.
"""
