"""Transports: unchanged HTTP clients, such as OpenAI's, whose requests go through a pool.

- `request_options`: what a request asks a pool for, and how often and how long it is tried.
- `forwarding`: the request as an endpoint gets it: its URL, its headers, and a body that may be sent again or not.
- `errors`: what an answer says of the endpoint, and which error of its own a client gets.
- `reports`: what an answer says of the load of its server, and of the tokens that were used.
- `leased_body`: the body of an answer, and the lease that is held until the body ends.
- `exchange`: one request and its answer, and what the transports for threads and for tasks have in common.
- `sync`, `tasks`: the transports for threads and for tasks, for httpx2 and for httpx alike.
- `adapter`: the same for requests.
- `clients`: clients of OpenAI's, ready made.

Nothing here decides where a request goes or when it is tried again: the attempt plan does, as in `Pool.call`.
"""
