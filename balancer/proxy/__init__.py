"""`balancer proxy`: one URL in front of a pool, for any language and any HTTP client.

- `heads`: heads of requests and answers: what is refused, what is passed on, what is replaced.
- `client_body`: the body of a request: kept as far as it may be sent again, else passed on as it comes.
- `client_request`: a request of a client, and its answer.
- `client_side`, `server_side`: the connections of clients, and those to servers.
- `exchange`: one request and its answer, along an attempt plan.
- `own_answers`: the proxy's own answers: what went wrong, in words and in a status.
- `tenants`: who sends a request.
- `app`: the server: it listens, shares out, and stops.

The attempt plan decides where a request goes and when it is tried again, as in `Pool.call`.
"""
