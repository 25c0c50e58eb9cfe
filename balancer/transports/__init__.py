"""Transports: unchanged HTTP clients, such as OpenAI's, whose requests go through a pool.

- `httpx_transports`, `adapter`, `middleware`: the faces for httpx2 and httpx, for requests, and for aiohttp. Each says
  what its library calls things. The first also has the errors that OpenAI's clients understand.
- `exchange`: one request and its answer, for all of them: how an attempt counts, what the client gets, the body that
  holds the lease, and the way along the attempt plan, in a thread or in a task.
- `request_options`: what a request asks a pool for, and how often and how long it is tried. All clients have these.
- `forwarding`: URL and headers of the request as an endpoint gets it.
- `reports`: the server's load and the used tokens, from an answer.
- `sessions`: requests that must go where an earlier one went, by ids, headers, cookies or a function.
- `resend`: whether a failed request may be sent again, by what was sent of it.
- `time_bound`: the deadline of an attempt in a thread.
- `clients`: ready-made OpenAI clients.

The attempt plan decides where a request goes and when it is tried again, as in `Pool.call`.
"""
