"""`balancer proxy`: one URL in front of a pool, for any language and any HTTP client.

- `heads`: heads of requests and answers: what is refused, what is passed on, what is replaced.
- `client_side`: connections of clients, their requests, and the answers that they get.
- `client_body`: the body of a request: kept as far as it may be sent again, else passed on as it comes.
- `server_side`: connections to servers.
- `exchange`: one request and its answer, along an attempt plan.
- `refusals`: the proxy's own answers: what went wrong, in words and in a status.
- `tenants`: who sends a request.
- `contact`: whether the server of the pool can be reached.
- `app`: the server: it listens, shares out, and stops.

aiohttp reads and writes HTTP. The attempt plan decides where a request goes and when it is tried again, as in
`Pool.call`.
"""
